// Searches, their answers, and an answer in its frame.

import {
  $, api, cameraText, frameText, lazyImage, load, make, plural, say, fail,
  timeText,
} from './common.js';
import { noteTimes, readFilters, showActive } from './filters.js';
import { place } from './picture.js';

const ANYWAY = -1e6; // a threshold that everybody reaches

const state = {
  info: null,
  search: null, // { queries, thumbs, anyway }
  past: [],
  matches: [],
  selected: new Map(), // id to match
  shown: 0, // the match in the dialog
  openFrame: null,
  abort: null,
};

export function search(queries, thumbs) {
  if (state.search) state.past = [...state.past.slice(-19), state.search];
  state.search = { queries, thumbs, anyway: false };
  run();
}

async function run() {
  $('error').textContent = '';
  let filters;
  try {
    filters = readFilters();
  } catch (error) {
    fail(error);
    return;
  }
  showActive(filters.active);
  const { search: wanted } = state;
  if (!wanted) return;
  state.abort?.abort();
  state.abort = new AbortController();
  $('back').hidden = !state.past.length;
  $('looking').hidden = false;
  $('looking-list').replaceChildren(
    ...wanted.thumbs.map((thumb) => make('li', {}, thumb)),
  );
  $('results').setAttribute('aria-busy', 'true');
  say('Searching …');
  try {
    const body = { ...filters.body, queries: wanted.queries };
    if (wanted.anyway) body.threshold = ANYWAY;
    const response = await api('search', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      signal: state.abort.signal,
    });
    showAnswer(await response.json(), filters.active);
  } catch (error) {
    if (error.name === 'AbortError') return; // another search is on its way
    showMatches([]);
    $('nobody').hidden = true;
    fail(error);
  }
  $('results').removeAttribute('aria-busy');
}

function showAnswer({ nobody, threshold, matches }, active) {
  showMatches(matches);
  noteTimes(matches.map((match) => match.frame));
  $('nobody').hidden = !nobody;
  if (!nobody) {
    say(`${plural(matches.length, 'result', 'results')}, best first.`);
    return;
  }
  say('No results.');
  const limited = threshold !== null && threshold > ANYWAY;
  const within = active ? ' with these filters' : '';
  $('nobody-title').textContent = limited
    ? 'This person does not seem to be in the gallery.' : 'Nobody found.';
  $('nobody-text').textContent = limited
    ? `Nobody reaches a similarity of ${threshold.toFixed(2)}${within}.`
    : `There is nobody else in the gallery${within}.`;
  $('anyway').hidden = !limited;
}

// ---- the grid

function showMatches(matches) {
  state.matches = matches;
  state.selected.clear();
  showSelection();
  $('grid').replaceChildren(...matches.map(card));
}

function barShare(similarity) {
  // Inner products have no upper end: there the best answer fills the bar.
  const best = Math.max(...state.matches.map((match) => match.similarity));
  const full = state.info.metric === 'cosine' ? 1 : Math.max(best, 1e-9);
  return Math.min(Math.max(similarity / full, 0), 1);
}

function card(match, i) {
  const { frame, similarity } = match;
  const unsure = state.info.threshold !== null
    && similarity < state.info.threshold;
  const bar = make('div', { class: 'bar', 'aria-hidden': 'true' });
  bar.append(make('div', { class: 'fill' }));
  bar.firstChild.style.width = `${100 * barShare(similarity)}%`;
  const box = make('input', {
    type: 'checkbox',
    'aria-label': `Select result ${i + 1}`,
    onchange: ({ target }) => {
      if (target.checked) state.selected.set(match.id, match);
      else state.selected.delete(match.id);
      target.closest('li').classList.toggle('selected', target.checked);
      showSelection();
    },
  });
  return make(
    'li',
    { class: unsure ? 'card unsure' : 'card', 'data-id': match.id },
    make('button', {
      class: 'shot',
      'aria-label': `Result ${i + 1}, similarity ${similarity.toFixed(2)}, `
        + `${frameText(frame)}. Show it in its frame`,
      onclick: () => openDetail(i),
    }, lazyImage(`people/${match.id}/crop`)),
    make('div', { class: 'card-text' },
      make('div', { class: 'figure' },
        make('strong', { title: 'similarity' }, similarity.toFixed(2)),
        unsure ? 'below the threshold' : '',
        make('label', { class: 'pick' }, box)),
      bar,
      make('span', {}, cameraText(frame.camera)),
      ...[timeText(frame.time)].filter(Boolean).map((text) => make('span',
        { class: 'muted' }, text)),
      make('span', { class: 'muted', title: 'certainty that it is a person' },
        `person ${Math.round(100 * match.score)} %`)),
  );
}

function showSelection() {
  const { size } = state.selected;
  const most = state.info?.limits.queries ?? 1;
  $('selection').hidden = !size;
  $('selection-text').textContent = size > most
    ? `${size} selected, at most ${most} can be searched for`
    : `${size} selected`;
  $('more').disabled = size > most;
}

function searchPeople(matches) {
  search(
    matches.map((match) => ({ person: match.id })),
    matches.map((match) => lazyImage(`people/${match.id}/crop`)),
  );
  $('results').scrollIntoView();
  $('results').focus({ preventScroll: true });
}

function clearSelection() {
  for (const box of $('grid').querySelectorAll('input:checked')) box.click();
  $('grid').querySelector('.shot')?.focus();
}

// ---- an answer in its frame

function openDetail(i) {
  if (!$('detail').open) {
    const opener = document.activeElement;
    $('detail').showModal();
    $('detail').onclose = () => opener.focus();
  }
  showDetail(i);
}

async function showDetail(i) {
  state.shown = i;
  const { frame, bbox, similarity, score } = state.matches[i];
  $('detail-title').textContent = `Result ${i + 1} of ${state.matches.length}`;
  $('detail-text').textContent = `${frameText(frame)}. Similarity `
    + `${similarity.toFixed(2)}, person ${Math.round(100 * score)} %.`;
  $('detail-previous').disabled = i === 0;
  $('detail-next').disabled = i === state.matches.length - 1;
  const stage = $('detail-stage');
  const picture = $('detail-picture');
  const mark = make('div', { class: 'box mark' });
  const put = ({ width, height }) => {
    if (!width || state.shown !== i) return;
    stage.style.aspectRatio = `${width} / ${height}`;
    stage.style.setProperty('--ratio', width / height);
    place(mark, bbox, { width, height });
    stage.append(mark);
  };
  stage.querySelector('.mark')?.remove();
  put(frame);
  picture.alt = `The frame ${frameText(frame)}`;
  const size = await load(picture, `frames/${frame.id}/image`);
  if (size && !frame.width) put(size);
}

function stepDetail(step) {
  const i = state.shown + step;
  if (i >= 0 && i < state.matches.length) showDetail(i);
}

// ---- wiring

export function showInfo(info) {
  state.info = info;
  $('threshold').placeholder = info.threshold === null ? 'none'
    : info.threshold.toFixed(2);
}

// Args: openFrame(frame) makes a frame the picture to choose from.
export function setUpResults(openFrame) {
  const on = (id, work) => $(id).addEventListener('click', work);
  on('anyway', () => {
    state.search.anyway = true;
    run();
  });
  on('back', () => {
    state.search = state.past.pop();
    run();
  });
  on('more', () => searchPeople([...state.selected.values()]));
  on('clear', clearSelection);
  on('detail-close', () => $('detail').close());
  on('detail-previous', () => stepDetail(-1));
  on('detail-next', () => stepDetail(1));
  on('detail-search', () => {
    $('detail').onclose = null;
    $('detail').close();
    searchPeople([state.matches[state.shown]]);
  });
  on('detail-use', () => {
    $('detail').onclose = null;
    $('detail').close();
    openFrame(state.matches[state.shown].frame);
  });
  on('detail', (event) => { // beside it
    if (event.target === $('detail')) $('detail').close();
  });
  $('detail').addEventListener('keydown', (event) => {
    if (event.key === 'ArrowLeft') stepDetail(-1);
    if (event.key === 'ArrowRight') stepDetail(1);
  });
}

export { run as searchAgain };
