"""The offline half of gpperf-lite: measured tables in, artefacts and accuracy reports out."""
