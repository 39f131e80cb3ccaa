// Points at a curve: tells the values at the nearest step, and narrows the steps to what is dragged over. The values are those of the page's table.

const svg = document.getElementById("curve");
const said = document.getElementById("pointed");
const SVG = "http://www.w3.org/2000/svg";

if (svg && said) {
  const [first, last, left, right] = ["first", "last", "left", "right"].map((name) => Number(svg.dataset[name]));
  const table = document.getElementById("points");
  const names = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
  const rows = [...table.tBodies[0].rows].map((row) => ({
    step: Number(row.cells[0].textContent),
    values: [...row.cells].slice(1).map((cell) => cell.textContent),
  }));
  const span = Math.max(last - first, 1);
  const [width, height] = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
  const stepAt = (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width;
    return first + ((Math.min(Math.max(x, left), right) - left) / (right - left)) * span;
  };
  const placeOf = (step) => left + ((step - first) / span) * (right - left);

  const mark = document.createElementNS(SVG, "line");
  mark.setAttribute("class", "mark");
  mark.setAttribute("y1", "0");
  mark.setAttribute("y2", String(height));
  const dragged = document.createElementNS(SVG, "rect");
  dragged.setAttribute("class", "dragged");
  dragged.setAttribute("height", String(height));
  svg.append(dragged);
  let began = null;

  const show = (event) => {
    const step = stepAt(event);
    const near = rows.reduce((best, row) => (Math.abs(row.step - step) < Math.abs(best.step - step) ? row : best));
    svg.append(mark);
    mark.setAttribute("x1", String(placeOf(near.step)));
    mark.setAttribute("x2", String(placeOf(near.step)));
    const told = names.map((name, at) => [name, near.values[at]]).filter(([, value]) => value);
    said.textContent = `Step ${near.step}: ${told.map(([name, value]) => `${name} ${value}`).join(", ")}`;
    if (began !== null) {
      const [low, high] = [Math.min(began, step), Math.max(began, step)];
      dragged.setAttribute("x", String(placeOf(low)));
      dragged.setAttribute("width", String(placeOf(high) - placeOf(low)));
    }
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", (event) => {
    began = stepAt(event);
    event.preventDefault();
  });
  svg.addEventListener("pointerup", (event) => {
    if (began === null) return;
    const ends = [began, stepAt(event)].sort((one, other) => one - other);
    began = null;
    dragged.setAttribute("width", "0");
    if (placeOf(ends[1]) - placeOf(ends[0]) < 8) return;
    document.getElementById("from").value = String(Math.floor(ends[0]));
    document.getElementById("to").value = String(Math.ceil(ends[1]));
    document.getElementById("narrow").requestSubmit();
  });
}
