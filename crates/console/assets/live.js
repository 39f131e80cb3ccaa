// Moves what the server draws: shapes and texts by their ids, as news comes. Without it the page shows how things were when it was made.
const box = document.querySelector("[data-live]");
if (box) {
  const said = document.getElementById("live");
  const source = new EventSource(box.dataset.live);
  source.addEventListener("traffic", (event) => {
    const news = JSON.parse(event.data);
    for (const [id, path] of Object.entries(news.paths)) document.getElementById(id)?.setAttribute("d", path);
    for (const [id, text] of Object.entries(news.texts)) {
      const place = document.getElementById(id);
      if (place) place.textContent = text;
    }
    said.textContent = "Live";
  });
  source.addEventListener("error", () => {
    said.textContent = source.readyState === EventSource.CLOSED ? "No longer live: reload the page" : "Asking again…";
  });
}
