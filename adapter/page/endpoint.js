// What goes to the endpoint and comes back. The key is in this module's memory and nowhere else.

import { by } from "./shown.js";

export const FHIR = "application/fhir+json";
export const JSON_TYPE = "application/json";
export const PACKED_FROM = 2 ** 20; // characters

let apiKey = "";
let asking;

// What the endpoint does not do: its issues, and the status of its answer, 0 for none.
export class Refused extends Error {
  constructor(issues, status) {
    super(issues[0].message);
    Object.assign(this, { issues, status });
  }
}

export async function ask(path, text, type, signal) {
  for (let tried = false; ; tried = true) {
    const headers = { "Content-Type": type };
    if (apiKey) headers.Authorization = `Bearer ${apiKey}`;
    let body = text;
    if (text.length > PACKED_FROM && "CompressionStream" in window) {
      headers["Content-Encoding"] = "gzip";
      const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
      body = await new Response(packed).blob();
    }
    let response;
    try {
      response = await fetch(path, { method: "POST", headers, body, signal, credentials: "omit" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused([{ severity: "error", message: "The endpoint does not answer.", remedy: "Try again." }], 0);
    }
    if (response.status === 401 && (await (asking ??= askForKey(tried && apiKey)))) continue;
    if (response.ok) return response;
    throw new Refused(outcome(await response.text(), response.status), response.status);
  }
}

function outcome(text, status) {
  try {
    return JSON.parse(text).issue.map(({ severity, diagnostics, details, expression }) => ({
      severity, message: diagnostics, remedy: details?.text, path: expression?.[0], code: details?.coding?.[0]?.code,
    }));
  } catch {
    return [{ severity: "error", message: `The endpoint answered ${status}.`, remedy: "Ask whoever runs it." }];
  }
}

function askForKey(again) {
  const dialog = by("ask");
  by("ask-note").textContent = again ? "The key was not accepted." : "Whoever runs the endpoint gives it out.";
  by("key").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      apiKey = dialog.returnValue === "use" ? by("key").value.trim() : "";
      by("key").value = "";
      asking = undefined;
      resolve(Boolean(apiKey));
    }, { once: true });
  });
}

// The same as a command; the key is a variable of the shell.
export function curl(isFhir) {
  const [path, type, file, result] = isFhir
    ? ["$to-case", FHIR, "bundle.json", "case.json"] : ["$to-fhir", JSON_TYPE, "case.json", "bundle.json"];
  const credentials = apiKey ? `  -H "Authorization: Bearer $FHIR_ADAPTER_KEY" \\\n` : "";
  const url = new URL(`fhir/${path}`, location.href);
  return `curl -sS -H 'Content-Type: ${type}' \\\n${credentials}  --data-binary @${file} \\\n  '${url}' -o ${result}`;
}
