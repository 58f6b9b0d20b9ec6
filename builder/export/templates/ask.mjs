// Answers questions of the check: a line of JSON in, a line of JSON out.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { predict } = await import(pathToFileURL(process.argv[2]).href);
const bounds = ["compute", "memory", "latency"];

for await (const line of createInterface({ input: process.stdin })) {
  const { gemms, kernel, confidence, figures } = JSON.parse(line);
  const told = gemms.map(([m, n, k, batch, dtype, layout, beta]) => {
    const p = predict({ m, n, k, batch, dtype, layout, beta }, { kernel, confidence });
    const flags = [bounds.indexOf(p.bound), p.timed, p.powerIsUnmeasured, p.inDomain];
    return [...figures.map((name) => p[name]), p.kernel, ...flags];
  });
  console.log(JSON.stringify(told));
}
