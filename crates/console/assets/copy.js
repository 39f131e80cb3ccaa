// A button that copies beside each block of lines that is there to be copied. Without scripts there is none, and nothing is missing: lines can be marked.

for (const block of document.querySelectorAll("pre[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${block.dataset.copy}`);
  const said = document.createElement("span");
  said.className = "unseen";
  said.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    let word = "Copied";
    try {
      await navigator.clipboard.writeText(block.textContent);
    } catch {
      // The browser gives no clipboard: the lines are marked, to be copied by its own means.
      getSelection().selectAllChildren(block);
      word = "Marked";
    }
    button.textContent = said.textContent = word;
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  block.parentElement.append(button, said);
}
