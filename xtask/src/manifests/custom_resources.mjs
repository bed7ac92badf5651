// Checks the custom resources of rendered manifests: node custom_resources.mjs SCHEMAS FILE...
//
// Gateway API's and GKE's against validators that were compiled from their schemas (npm @kubernetes-models). Those
// validators take fields that the schema does not know; a field that they never look at is one, so each resource is
// handed over in a wrapper that notes what is looked at. Google's monitoring resources have no schema in a registry:
// they are checked by a list of their fields below, which is ours and no more than that.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [schemas, ...files] = process.argv.slice(2);
const load = (...path) => import(pathToFileURL(join(schemas, "node_modules", ...path)).href);
const { parseAllDocuments } = (await load("yaml", "dist", "index.js")).default;

/** Groups of Kubernetes itself, which kubernetes-validate checks. */
const BUILT_IN = /^(|apps|batch|autoscaling|policy|networking\.k8s\.io)$/;

/** Fields of the resources that have no schema; a name that ends in ! is required, `true` takes anything. */
const OURS = {
  PodMonitoring: {
    "selector!": { matchLabels: true, matchExpressions: true },
    "endpoints!": [{ "port!": true, "interval!": true, path: true, timeout: true, metricRelabeling: true }],
    targetLabels: { metadata: true, fromPod: true },
    limits: true,
  },
  Rules: {
    "groups!": [{
      "name!": true,
      "interval!": true,
      "rules!": [{ alert: true, record: true, "expr!": true, for: true, labels: true, annotations: true }],
    }],
  },
};

let [checked, wrong] = [0, 0];
for (const file of files) {
  for (const document of parseAllDocuments(readFileSync(file, "utf8"))) {
    const resource = document.toJS();
    const [version, group = ""] = resource.apiVersion.split("/").reverse();
    if (BUILT_IN.test(group)) continue;
    const problems = OURS[resource.kind] && group === "monitoring.googleapis.com"
      ? [...unknownFields(resource.spec, OURS[resource.kind], "/spec")]
      : await bySchema(resource, group, version);
    checked += 1;
    for (const problem of problems) {
      wrong += 1;
      console.error(`${file}: ${resource.kind} ${resource.metadata.name}: ${problem}`);
    }
  }
}
console.log(`${checked} custom resources checked, ${wrong} problems`);
if (checked === 0) console.error("there was nothing to check");
process.exit(wrong > 0 || checked === 0 ? 1 : 0);

async function bySchema(resource, group, version) {
  const pascal = (text) => text[0].toUpperCase() + text.slice(1);
  const [archive, name] = group === "gateway.networking.k8s.io"
    ? ["gateway-api", `IoK8sSigsGatewayApiApis${pascal(version)}${resource.kind}`]
    : ["gke", group.split(".").map(pascal).join("") + pascal(version) + resource.kind];
  let schema;
  try {
    schema = await load("@kubernetes-models", archive, "_schemas", `${name}.js`);
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    return [`there is no schema of ${resource.apiVersion}`];
  }
  const validate = schema.validate ?? schema.default.validate;
  const unread = new Set();
  const valid = validate(noting(resource, "", unread));
  const problems = valid ? [] : validate.errors.map(
    (error) => `${error.instancePath || "/"} ${error.message ?? `breaks ${error.keyword} ${JSON.stringify(error.params)}`}`,
  );
  return [...problems, ...[...unread].map((path) => `${path} is unknown to the schema`)];
}

/** `value`, which takes its fields' paths out of `unread` as they are looked at. */
function noting(value, path, unread) {
  if (value === null || typeof value !== "object") return value;
  const inner = new Map();
  for (const key of Object.keys(value)) {
    const place = `${path}/${key}`;
    if (!Array.isArray(value)) unread.add(place);
    inner.set(key, noting(value[key], place, unread));
  }
  return new Proxy(value, {
    get(target, key) {
      if (!inner.has(key)) return Reflect.get(target, key);
      unread.delete(`${path}/${String(key)}`);
      return inner.get(key);
    },
  });
}

/** Fields of `value` that `fields` does not name, and those it requires (a name that ends in !) that are missing. */
function* unknownFields(value, fields, path) {
  if (fields === true) return;
  if (Array.isArray(fields)) {
    if (!Array.isArray(value) || value.length === 0) yield `${path} is not a list with something in it`;
    else for (const [index, item] of value.entries()) yield* unknownFields(item, fields[0], `${path}/${index}`);
    return;
  }
  const names = new Map(Object.entries(fields).map(([name, inner]) => [name.replace("!", ""), inner]));
  for (const key of Object.keys(value)) {
    if (names.has(key)) yield* unknownFields(value[key], names.get(key), `${path}/${key}`);
    else yield `${path}/${key} is unknown`;
  }
  for (const name of Object.keys(fields)) {
    if (name.endsWith("!") && value[name.slice(0, -1)] === undefined) yield `${path}/${name.slice(0, -1)} is missing`;
  }
}
