// Has a contract or rules read while they are typed: faults with their lines, and what came of it. Data and the log are looked at by the button only.

const PAUSE_MS = 700;
const SHOWN_MAX = 8;

for (const field of document.querySelectorAll("textarea[data-check]")) {
  const said = document.getElementById("live");
  let waiting = 0;
  let asked = 0;

  const line = (text) => {
    const item = document.createElement("p");
    item.textContent = text;
    return item;
  };
  const fault = (one) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = one.line > 0 ? `Line ${one.line}: ${one.problem}` : one.problem;
    button.addEventListener("click", () => {
      const lines = field.value.split("\n").slice(0, Math.max(one.line, 1));
      const end = lines.join("\n").length;
      field.focus();
      field.setSelectionRange(end - lines[lines.length - 1].length, end);
    });
    const item = document.createElement("p");
    item.append(button);
    return item;
  };
  const changed = (answer) => {
    const breaking = answer.changes.filter((change) => change.effect === "breaks").length;
    return `It can be read. Changes to the one in force: ${answer.changes.length + answer.more_change_count}, of which break readers: ${breaking}.`;
  };
  const show = (answer) => {
    const lines = answer.usable
      ? [line(answer.changes ? changed(answer) : `They can be used. Rules: ${answer.rules.length}.`)]
      : [line(`It cannot be used. Faults: ${answer.faults.length}.`), ...answer.faults.slice(0, SHOWN_MAX).map(fault)];
    said.replaceChildren(...lines);
    said.dataset.state = answer.usable ? "good" : "bad";
  };
  const check = async () => {
    const own = (asked += 1);
    const headers = { "content-type": "application/json" };
    if (field.dataset.workspace) headers["x-mlflow-workspace"] = field.dataset.workspace;
    const body = JSON.stringify({ [field.name]: field.value, ...JSON.parse(field.dataset.with ?? "{}") });
    try {
      const answer = await fetch(field.dataset.check, { method: "POST", headers, body });
      const told = await answer.json();
      // An answer to what was typed before counts no more.
      if (own !== asked) return;
      if (answer.ok) show(told);
      else said.replaceChildren(line(told.error ?? told.message ?? "It was not read just now; the button reads it."));
    } catch {
      if (own === asked) said.replaceChildren(line("It was not read just now; the button reads it."));
    }
    said.hidden = false;
  };
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(check, PAUSE_MS);
  });
}
