// Moves what the server draws: shapes and texts by their ids, as news comes. Without it the page shows how things were when it was made.
const box = document.querySelector("[data-live]");
if (box) {
  const said = document.getElementById("live");
  const signs = ["pointermove", "pointerdown", "keydown", "scroll"];
  const restMs = 3000;
  const watch = () => {
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
      const isRefused = source.readyState === EventSource.CLOSED;
      source.close();
      said.textContent = isRefused ? "No longer live: reload the page" : "Paused until you move";
      // To ask again is a use of the session, so it takes somebody who is there: a page that is only open keeps no session alive.
      if (!isRefused) setTimeout(awaitSomebody, restMs);
    });
  };
  const awaitSomebody = () => {
    const seen = new AbortController();
    const again = () => {
      seen.abort();
      watch();
    };
    for (const sign of signs) document.addEventListener(sign, again, { signal: seen.signal, passive: true });
  };
  watch();
}
