"use strict";
// Runs before the page is drawn, so that it does not flash in the other theme.
(() => {
  const themes = ["auto", "light", "dark"];
  const kept = () => {
    try {
      return localStorage.getItem("cos-inspect-theme");
    } catch {
      return null;
    }
  };
  let theme = themes.includes(kept()) ? kept() : "auto";
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    const button = document.getElementById("theme");
    if (button) button.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[theme];
    if (button) button.setAttribute("aria-label", `Theme: ${theme}. Change it`);
  };
  apply();
  document.documentElement.classList.add("scripts-run");
  addEventListener("DOMContentLoaded", () => {
    apply();
    document.getElementById("theme").addEventListener("click", () => {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      try {
        localStorage.setItem("cos-inspect-theme", theme);
      } catch {
        // Kept for this page only.
      }
      apply();
    });
  });
})();
