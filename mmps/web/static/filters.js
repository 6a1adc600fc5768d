// The filters: the form's values as fields of the API.

import { $, cameraText, isUnix, make } from './common.js';

const TIMES = ['after', 'before'];
let unix = null; // whether times are seconds since 1970; null: not known

// Whether times are asked for as dates follows from those of the gallery.
export function noteTimes(frames) {
  const times = frames.map((frame) => frame.time).filter((t) => t !== null);
  if (unix !== null || !times.length) return;
  unix = times.some(isUnix);
  for (const input of TIMES.map($)) {
    input.type = unix ? 'datetime-local' : 'text';
    input.placeholder = unix ? '' : 'h:mm:ss';
    if (unix) input.step = 1;
  }
}

export function showCameras(cameras) {
  const chosen = new Set(chosenCameras());
  $('cameras-field').hidden = cameras.length < 2;
  $('cameras').replaceChildren(...cameras.map((camera) => {
    const box = make('input', { type: 'checkbox', value: camera });
    box.checked = chosen.has(camera);
    return make('label', {}, box, ` ${cameraText(camera)}`);
  }));
}

function chosenCameras() {
  const boxes = $('cameras').querySelectorAll('input:checked');
  return [...boxes].map((box) => box.value);
}

function seconds(input) {
  const text = input.value.trim();
  input.removeAttribute('aria-invalid');
  if (!text) return null;
  if (unix) return new Date(text).getTime() / 1000;
  if (/^(\d{1,6}:){0,2}\d{1,9}(\.\d{1,3})?$/.test(text)) {
    return text.split(':').reduce((sum, part) => 60 * sum + Number(part), 0);
  }
  input.setAttribute('aria-invalid', 'true');
  throw new Error(`${text}: expected a time such as 0:12:30`);
}

// Returns: { body, active }, fields of a search and how many are in use.
// Throws an Error for the user where a time is none.
export function readFilters() {
  const cameras = chosenCameras();
  const [after, before] = TIMES.map((id) => seconds($(id)));
  if (after !== null && before !== null && after >= before) {
    $('before').setAttribute('aria-invalid', 'true');
    throw new Error('Until: expected a later time than From');
  }
  const score = Number($('min-score').value);
  const { value, validity } = $('threshold');
  $('threshold').toggleAttribute('aria-invalid', !validity.valid);
  if (!validity.valid) throw new Error('Similarity: expected a number');
  const body = {
    k: Number($('k').value),
    rerank: $('rerank').checked,
    expand: $('expand').checked ? 5 : 0,
    keep_own: $('keep-own').checked,
    threshold: value === '' ? null : Number(value),
    filters: {
      cameras: cameras.length ? cameras : null,
      after,
      before,
      min_score: score || null,
    },
  };
  const used = [cameras.length, after !== null, before !== null, score,
    value !== '', body.rerank, body.expand, body.keep_own];
  return { body, active: used.filter(Boolean).length };
}

export function showActive(active) {
  $('filters-active').hidden = !active;
  $('reset').hidden = !active;
  $('filters-active').textContent = `${active} in use`;
}

// Args: changed() is called when another search is wanted.
export function setUpFilters(changed) {
  const form = $('filter-form');
  const showScore = () => {
    const score = Number($('min-score').value);
    $('min-score-text').textContent = score ? score.toFixed(2) : 'any';
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    changed();
  });
  form.addEventListener('change', changed);
  // The fields are empty only after the event.
  form.addEventListener('reset', () => setTimeout(() => {
    showScore();
    changed();
  }));
  $('min-score').addEventListener('input', showScore);
  $('filters').open = matchMedia('(min-width: 60rem)').matches;
}
