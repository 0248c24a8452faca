// Draws the formulas that _extensions/formulas.py has left as they were written. A mistake in one is an error in the console.
for (const element of document.querySelectorAll(".formula")) {
  katex.render(element.textContent, element, { displayMode: element.tagName === "DIV" });
}
