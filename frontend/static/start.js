// Starts the page. A file of its own, because the content security policy forbids inline scripts.
import init from '/frontend.js';

init({ module_or_path: '/frontend_bg.wasm' }).catch((error) => {
  // The cause is for whoever looks into the console; the words are for the person at the screen.
  console.error(error);
  const note = document.createElement('p');
  note.className = 'starting';
  note.setAttribute('role', 'alert');
  note.textContent = 'The page did not start. Reload it; if that does not help, use a current browser.';
  document.body.replaceChildren(note);
});
