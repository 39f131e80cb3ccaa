// The mlflow client prints addresses of MLflow's own page. What they name stands behind a `#`, which no server is sent: a log-in carries it along, and the
// first page leads from it to the page that there is here of the same thing.

function placeOf(hash) {
  const [path, query] = hash.slice(1).split("?", 2);
  const parts = path.split("/").slice(1);
  if (!parts.every((part) => /^[\w.~%-]+$/.test(part) && !/^\.+$/.test(part))) return null;
  const [kind, name, below, id] = parts;
  const workspace = new URLSearchParams(query).get("workspace");
  const named = workspace ? [`workspace=${encodeURIComponent(workspace)}`] : [];
  const at = (page, ...more) => [page, [...more, ...named].join("&")].filter((part) => part).join("?");
  if (kind === "experiments" && name) return at(below === "runs" && id ? `/console/runs/${id}` : `/console/experiments/${name}`);
  if (kind === "models" && name) return below === "versions" && id ? at(`/console/models/${name}/${id}`) : at("/console/models", `model=${name}`);
  return null;
}

if (location.hash.startsWith("#/")) {
  const found = placeOf(location.hash);
  if (location.pathname === "/login") {
    for (const form of document.querySelectorAll("form[action]")) form.setAttribute("action", form.getAttribute("action") + location.hash);
  } else if (found) {
    location.replace(found);
  }
}
