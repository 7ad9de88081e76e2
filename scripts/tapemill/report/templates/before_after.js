"use strict";
const pairs = document.getElementById("pairs");
const figures = [...pairs.children];
const split = document.getElementById("split");
const buttons = [...document.getElementById("stills").children];
let current = 0;

function move(percent) {
  split.value = percent;
  pairs.style.setProperty("--split", `${split.value}%`);
}

function show(place) {
  current = (place + figures.length) % figures.length;
  figures.forEach((figure, other) => { figure.hidden = other !== current; });
  buttons.forEach((button, other) => button.setAttribute("aria-pressed", String(other === current)));
}

function flip() {
  move(Number(split.value) < 50 ? 100 : 0);
}

function follow(event) {
  const box = pairs.getBoundingClientRect();
  move(100 * (event.clientX - box.left) / box.width);
}

buttons.forEach((button, place) => {
  button.querySelector("img").src = figures[place].querySelector(".after").src;
  button.addEventListener("click", () => show(place));
});
figures[0].querySelector(".after").decode().then(() => {
  const { naturalWidth, naturalHeight } = figures[0].querySelector(".after");
  pairs.style.setProperty("--shape", naturalWidth / naturalHeight);
});
split.addEventListener("input", () => move(split.value));
document.getElementById("flip").addEventListener("click", flip);
pairs.addEventListener("pointerdown", (event) => { pairs.setPointerCapture(event.pointerId); follow(event); });
pairs.addEventListener("pointermove", (event) => { if (event.buttons) { follow(event); } });
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) { return; }
  const key = event.key.toLowerCase();
  const step = { arrowleft: -2, arrowright: 2 }[key];
  if (step !== undefined && event.target !== split) { move(Number(split.value) + step); }
  else if (key === "f") { flip(); }
  else if (key === "n") { show(current + 1); }
  else if (key === "p") { show(current - 1); }
  else if (Number(key) >= 1 && Number(key) <= figures.length) { show(Number(key) - 1); }
});
move(50);
