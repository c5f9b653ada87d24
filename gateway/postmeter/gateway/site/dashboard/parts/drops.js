/** What folds down over the page folds up again by Escape, and when somebody goes elsewhere. */

const OPEN = "details.drop[open]";

function fold(event) {
  for (const drop of document.querySelectorAll(OPEN)) if (!drop.contains(event.target)) drop.open = false;
}

function escape(event) {
  const drop = event.key === "Escape" && event.target.closest?.(OPEN);
  if (!drop) return;
  drop.open = false;
  drop.querySelector("summary").focus();
}

/** Begins to look after them. */
export function foldDrops() {
  document.addEventListener("click", fold);
  document.addEventListener("focusin", fold);
  document.addEventListener("keydown", escape);
}
