// Completes the word at the end of a search with the names that the page knows: arrow down and up choose, Enter or Tab takes, Escape leaves.

const COUNT_MAX = 8;

for (const field of document.querySelectorAll("input[data-keys]")) {
  const keys = [...document.getElementById(field.dataset.keys).options].map((option) => option.value);
  const list = document.createElement("ul");
  list.id = `${field.id}-offers`;
  list.className = "offers";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Names");
  list.hidden = true;
  field.parentElement.after(list);
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": list.id, "aria-expanded": "false" })) {
    field.setAttribute(name, value);
  }
  let chosen = -1;

  // Quotes are the grammar's: nobody has to type them to find a name.
  const bare = (text) => text.replace(/[`"]/g, "").toLowerCase();
  const word = () => /[^\s()=<>!,]*$/.exec(field.value.slice(0, field.selectionStart))[0];
  const close = () => {
    list.hidden = true;
    chosen = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };
  const take = (key) => {
    const [at, length] = [field.selectionStart, word().length];
    field.value = `${field.value.slice(0, at - length)}${key} ${field.value.slice(at).trimStart()}`;
    field.setSelectionRange(at - length + key.length + 1, at - length + key.length + 1);
    close();
    field.focus();
  };
  const choose = (place) => {
    const offers = [...list.children];
    chosen = (place + offers.length) % offers.length;
    offers.forEach((offer, at) => offer.setAttribute("aria-selected", String(at === chosen)));
    field.setAttribute("aria-activedescendant", offers[chosen].id);
  };
  field.addEventListener("input", () => {
    const begun = bare(word());
    const offers = begun ? keys.filter((key) => bare(key).includes(begun) && bare(key) !== begun).slice(0, COUNT_MAX) : [];
    if (offers.length === 0) return close();
    list.replaceChildren(
      ...offers.map((key, at) => {
        const offer = document.createElement("li");
        offer.id = `${list.id}-${at}`;
        offer.setAttribute("role", "option");
        offer.setAttribute("aria-selected", "false");
        offer.textContent = key;
        offer.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          take(key);
        });
        return offer;
      }),
    );
    list.hidden = false;
    chosen = -1;
    field.setAttribute("aria-expanded", "true");
  });
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      choose(event.key === "ArrowDown" ? chosen + 1 : chosen - (chosen < 0 ? 0 : 1));
    } else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) {
      take(list.children[chosen].textContent);
    } else if (event.key === "Escape") {
      close();
    } else {
      return;
    }
    event.preventDefault();
  });
  field.addEventListener("blur", close);
}
