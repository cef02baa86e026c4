// Shows the service's own OpenAPI description; nothing is fetched from elsewhere.

import { byId, h, paintIcons } from "./dom.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

function nameOf(reference) {
  return reference.split("/").at(-1);
}

/** A type in a few words, with links to the objects it names. */
function kind(schema) {
  if (!schema) return ["nothing"];
  if (schema.$ref) return [h("a", { href: `#${nameOf(schema.$ref)}` }, nameOf(schema.$ref))];
  if (schema.anyOf) return schema.anyOf.flatMap((one, position) => (position ? [" or ", ...kind(one)] : kind(one)));
  if (schema.type === "array") return ["list of ", ...kind(schema.items)];
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(", ")];
  return [schema.format ?? schema.type ?? "anything"];
}

function limits(schema) {
  const words = [];
  if (schema.default !== undefined) words.push(`Default: ${JSON.stringify(schema.default)}.`);
  if (schema.minimum !== undefined) words.push(`At least ${schema.minimum}.`);
  if (schema.maximum !== undefined) words.push(`At most ${schema.maximum}.`);
  if (schema.maxLength !== undefined) words.push(`At most ${schema.maxLength} characters.`);
  return words;
}

function row(name, schema, text, isRequired) {
  const told = [text, ...limits(schema), isRequired && schema.default === undefined ? "Required." : ""].filter(Boolean).join(" ");
  return [h("code", {}, name), h("span", { class: "kind" }, kind(schema)), h("span", {}, told)];
}

function fields(schema) {
  const rows = Object.entries(schema.properties ?? {}).flatMap(([name, one]) => row(name, one, one.description, schema.required?.includes(name)));
  return rows.length ? h("div", { class: "fields" }, rows) : h("div", { class: "kind" }, kind(schema));
}

function part(title, ...content) {
  return [h("h3", {}, title), ...content];
}

function operation(path, method, told) {
  const body = told.requestBody?.content["application/json"]?.schema;
  const parameters = (told.parameters ?? []).flatMap((one) => row(one.name, one.schema, one.description, one.required));
  const answers = Object.entries(told.responses).flatMap(([status, answer]) => {
    const schema = Object.values(answer.content ?? {})[0]?.schema;
    return [h("code", {}, status), h("span", { class: "kind" }, schema && Object.keys(schema).length ? kind(schema) : ""), h("span", {}, answer.description)];
  });
  return h("details", { class: "operation" },
    h("summary", {}, h("span", { class: "method" }, method.toUpperCase()), h("code", {}, path), h("span", { class: "say" }, told.description ?? told.summary)),
    h("div", { class: "operation-body" },
      parameters.length ? part("In the address", h("div", { class: "fields" }, parameters)) : [],
      body ? part("Body", h("p", {}, kind(body))) : [],
      part("Answers", h("div", { class: "fields" }, answers))));
}

function object(name, schema) {
  return h("details", { class: "operation", id: name },
    h("summary", {}, h("code", {}, name), schema.description && h("span", { class: "say" }, schema.description)),
    h("div", { class: "operation-body" }, fields(schema)));
}

function unfold() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

paintIcons();
byId("origin").textContent = location.origin;
const description = await (await fetch("/api/openapi.json")).json();
const operations = Object.entries(description.paths).flatMap(([path, methods]) => METHODS.filter((method) => methods[method]).map((method) => operation(path, method, methods[method])));
byId("operations").append(...operations);
byId("schemas").append(...Object.entries(description.components.schemas).map(([name, schema]) => object(name, schema)));
addEventListener("hashchange", unfold);
unfold();
