// Starts the page. A file of its own, because the content security policy forbids inline scripts.
import init from '/frontend.js';

init({ module_or_path: '/frontend_bg.wasm' }).catch((error) => {
  const note = document.createElement('p');
  note.setAttribute('role', 'alert');
  note.textContent = `The page could not start: ${error}. Reload it, or use a current browser.`;
  document.body.append(note);
});
