// Questions to the operator, in the page.

const box = document.getElementById('ask');
const title = document.getElementById('ask-title');
const text = document.getElementById('ask-text');
const yes = document.getElementById('ask-yes');
const no = document.getElementById('ask-no');
const field = document.getElementById('ask-field');
const input = document.getElementById('ask-input');

function ask(question, more, verb, wantsText) {
  if (box.open) return Promise.resolve(null);
  title.textContent = question;
  text.textContent = more;
  yes.textContent = verb;
  field.hidden = !wantsText;
  input.value = '';
  box.returnValue = '';
  box.showModal();
  (wantsText ? input : no).focus();
  return new Promise(resolve => {
    box.addEventListener('close', () => {
      const said = box.returnValue === 'yes';
      const value = input.value.trim();
      input.value = '';
      resolve(said ? (wantsText ? value : true) : null);
    }, { once: true });
  });
}

// Enter in the field means yes: the form's first button would say no.
input.addEventListener('keydown', event => {
  if (event.key !== 'Enter') return;
  event.preventDefault();
  box.close('yes');
});

/** Resolves to whether the answer is yes. */
export const confirm = async (question, more, verb) => (await ask(question, more, verb, false)) === true;

/** Resolves to the token, or to null. */
export const askToken = why => ask('Token needed', why, 'Go on', true);
