// What somebody typed is not lost where the session had ended, a fresh log-in was asked for, or it was refused: it stays in this tab until its form is
// shown again, or until something came of it. Ticks, passwords and what stands on pages of the account are never kept, nor a form that says so.

const KEY = "strongroom-draft";
const KEPT_MS = 3_600_000;
const FIELDS = "textarea, select, input:not([type]), input[type=text], input[type=number], input[type=date], [data-draft]";

const forget = () => sessionStorage.removeItem(KEY);
const keep = (draft) => {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(draft));
  } catch {
    // It is larger than what a tab may keep: then it is as it would be without scripts.
    forget();
  }
};
const kept = () => {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
};
const here = location.pathname + location.search;
const goal = (form) => new URL(form.getAttribute("action") ?? "", location.href).pathname;
// Forms of one page may go to one address; what they send unseen tells them apart. What they were shown of it changes with the page.
const told = (form) => [goal(form), ...Array.from(form.querySelectorAll("input[type=hidden]:not([name=seen])"), (one) => `${one.name}=${one.value}`)].join("\n");
const fields = (form) => [...form.querySelectorAll(FIELDS)];

function show({ form: wanted, typed, refused }) {
  const form = [...document.querySelectorAll("main form[method=post]:not([data-forget])")].find((one) => told(one) === wanted);
  if (!form) return;
  const all = fields(form);
  for (const [name, value] of typed) {
    const field = all.find((one) => one.name === name);
    if (!field || field.readOnly) continue;
    if (field.type === "checkbox") field.checked = value;
    else field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  const note = document.createElement("p");
  const words = document.createElement("span");
  note.id = "draft";
  note.setAttribute("role", "status");
  words.className = "tag wait long";
  words.textContent = refused
    ? "What you typed stands here again. It was not done: look whether it still fits, and send it once more."
    : "What you typed stands here again. Look whether it was done before you send it once more.";
  note.append(words);
  form.prepend(note);
  form.closest("details")?.setAttribute("open", "");
  note.scrollIntoView({ block: "center" });
}

document.addEventListener("submit", ({ target: form }) => {
  if (form.getAttribute("action") === "/logout") forget();
  if (form.getAttribute("method") !== "post" || !form.closest("main") || !location.pathname.startsWith("/console")) return;
  // A browser that goes back may show this page as it was left.
  document.getElementById("draft")?.remove();
  const typed = fields(form).map((one) => [one.name, one.type === "checkbox" ? one.checked : one.value]);
  if (form.matches("[data-forget]") || !typed.some(([, value]) => value)) forget();
  else keep({ from: here, form: told(form), to: goal(form), typed, at: Date.now(), refused: false });
});

const draft = kept();
if (draft) {
  const isProblem = document.querySelector("main[data-problem]") && draft.to === location.pathname;
  const wentBack = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  if (Date.now() - draft.at > KEPT_MS) {
    forget();
  } else if (location.pathname === "/login" || isProblem) {
    keep({ ...draft, refused: true });
  } else if (draft.from === here && (draft.refused || wentBack)) {
    forget();
    show(draft);
  } else if (!draft.refused) {
    forget();
  }
}
