"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// React takes a value only from an input event that follows a change by the element's own setter.
function clear(field) {
  const prototype = field instanceof HTMLSelectElement ? HTMLSelectElement.prototype : HTMLInputElement.prototype;
  Object.getOwnPropertyDescriptor(prototype, "value").set.call(field, "");
  field.dispatchEvent(new Event(field instanceof HTMLSelectElement ? "change" : "input", { bubbles: true }));
  field.dispatchEvent(new FocusEvent("focusout", { bubbles: true })); // the field waits for more input otherwise
}

function addClearFilters() {
  const header = document.querySelector(".opblock-section-header .try-out");
  if (!header || document.querySelector(".clear-filters")) return;
  const button = document.createElement("button");
  button.className = "btn clear-filters";
  button.textContent = "Clear filters";
  button.addEventListener("click", async () => {
    // An array has a button for each of its items, and is drawn again after each click.
    const item = () => document.querySelector('tr[data-param-in="query"] button.json-schema-form-item-remove');
    for (let remove = item(); remove; remove = item()) {
      remove.click();
      await new Promise(requestAnimationFrame);
    }
    document.querySelectorAll('tr[data-param-in="query"] :is(input[type="text"], select)').forEach(clear);
  });
  header.prepend(button);
}

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "full",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: false,
  showCommonExtensions: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  onComplete: () => {
    addClearFilters();
    new MutationObserver(addClearFilters).observe(document.getElementById("swagger-ui"), { childList: true, subtree: true });
  },
});
