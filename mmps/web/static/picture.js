// The picture: boxes of people to choose from, or to draw.

import { $, ASPECT, fail, load, make, plural, tell } from './common.js';

const state = {
  picture: null, // { kind, id, width, height, people, name }
  boxes: [], // from left to right; the drawn one last
  draft: null, // being drawn: { from, box } by pointer, { box } by keys
  search: null,
  leastSide: 0, // of a box, in pixels
};

export function place(node, [x1, y1, x2, y2], { width, height }) {
  node.style.left = `${(100 * x1) / width}%`;
  node.style.top = `${(100 * y1) / height}%`;
  node.style.width = `${(100 * (x2 - x1)) / width}%`;
  node.style.height = `${(100 * (y2 - y1)) / height}%`;
}

export async function show(picture) {
  $('error').textContent = '';
  Object.assign(state, { picture, draft: null });
  state.boxes = picture.people.toSorted((a, b) => a.bbox[0] - b.bbox[0]);
  $('empty').hidden = true;
  $('viewer').hidden = false;
  $('picture-name').textContent = picture.name;
  setDrawing(false);
  renderBoxes();
  const size = await load($('picture'), `${picture.kind}s/${picture.id}/image`);
  if (state.picture !== picture) return;
  if (!size) fail(new Error('The picture of this frame is not available'));
  else if (!picture.width) {
    Object.assign(picture, size);
    renderBoxes();
  }
  const found = picture.people.length;
  tell(found ? `${plural(found, 'person', 'people')} found. Choose one.`
    : 'Nobody found in this picture. Draw a box around a person.');
}

function renderBoxes() {
  const { picture, boxes } = state;
  for (const node of $('stage').querySelectorAll('.box')) node.remove();
  $('stage').setAttribute('aria-label', 'Picture with '
    + plural(picture.people.length, 'person', 'people'));
  if (!picture.width) return;
  $('stage').style.aspectRatio = `${picture.width} / ${picture.height}`;
  const area = ({ bbox: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
  const bySize = boxes.toSorted((a, b) => area(b) - area(a));
  boxes.forEach((box, i) => {
    const label = box.drawn ? 'Drawn box' : `Person ${i + 1} of `
      + `${picture.people.length}, certainty ${Math.round(100 * box.score)} %`;
    const button = make('button', {
      class: 'box',
      'aria-label': label,
      title: label,
      'aria-pressed': false,
      onclick: () => searchBox(box),
    });
    place(button, box.bbox, picture);
    button.style.zIndex = 1 + bySize.indexOf(box); // small ones above
    $('stage').append(button);
  });
}

const boxNodes = () => [...$('stage').querySelectorAll('.box')];

function searchBox(box) {
  boxNodes().forEach((node, i) => {
    node.setAttribute('aria-pressed', state.boxes[i] === box);
  });
  const { kind, id } = state.picture;
  tell('');
  state.search([{ [kind]: id, bbox: box.bbox }], [boxThumb(box.bbox)]);
  if (matchMedia('(max-width: 60rem)').matches) {
    $('results').scrollIntoView();
  }
}

function boxThumb([x1, y1, x2, y2]) {
  const canvas = make('canvas', { width: 80, height: 80 * ASPECT });
  const context = canvas.getContext('2d');
  context.fillStyle = '#808080';
  context.fillRect(0, 0, canvas.width, canvas.height);
  const image = $('picture');
  const shown = image.naturalWidth / state.picture.width || 0;
  const high = 1.2 * Math.max(y2 - y1, ASPECT * (x2 - x1));
  const scale = canvas.height / high / shown;
  if (Number.isFinite(scale)) {
    context.setTransform(scale, 0, 0, scale,
      canvas.width / 2 - scale * shown * (x1 + x2) / 2,
      canvas.height / 2 - scale * shown * (y1 + y2) / 2);
    context.drawImage(image, 0, 0);
  }
  return canvas;
}

// ---- drawing a box

function setDrawing(on) {
  $('stage').classList.toggle('drawing', on);
  $('draw').setAttribute('aria-pressed', on);
}

function draftNode() {
  return $('stage').querySelector('.draft')
    ?? $('stage').appendChild(make('div', { class: 'draft' }));
}

function dropDraft() {
  state.draft = null;
  $('stage').querySelector('.draft')?.remove();
}

function finishDraft() {
  const { box } = state.draft;
  dropDraft();
  setDrawing(false);
  if (Math.min(box[2] - box[0], box[3] - box[1]) < state.leastSide) {
    tell('The box is too small.');
    return;
  }
  state.boxes = state.boxes.filter((other) => !other.drawn);
  state.boxes.push({ bbox: box.map((v) => Math.round(v)), drawn: true });
  renderBoxes();
  searchBox(state.boxes.at(-1));
  boxNodes().at(-1).focus({ preventScroll: true });
}

function pointAt(event) {
  const { left, top, width, height } = $('stage').getBoundingClientRect();
  const share = (v, size) => Math.min(Math.max(v / size, 0), 1);
  return [
    share(event.clientX - left, width) * state.picture.width,
    share(event.clientY - top, height) * state.picture.height,
  ];
}

function startDraft(event) {
  const touch = event.pointerType !== 'mouse';
  if (event.button || !state.picture.width) return;
  // A finger scrolls the page unless it was asked to draw.
  if (touch && !$('stage').classList.contains('drawing')) return;
  dropDraft();
  state.draft = { from: pointAt(event), x: event.clientX, y: event.clientY };
}

function stretchDraft(event) {
  const { draft } = state;
  if (!draft?.from) return;
  const far = Math.hypot(event.clientX - draft.x, event.clientY - draft.y);
  if (!draft.box && far < 6) return; // still a click
  $('stage').setPointerCapture(event.pointerId);
  const [x, y] = pointAt(event);
  const [x0, y0] = draft.from;
  draft.box = [Math.min(x, x0), Math.min(y, y0), Math.max(x, x0),
    Math.max(y, y0)];
  place(draftNode(), draft.box, state.picture);
}

function endDraft() {
  if (!state.draft?.from) return;
  if (!state.draft.box) { dropDraft(); return; }
  finishDraft();
  // The click that follows is not meant for a box.
  const swallow = (click) => click.stopPropagation();
  $('stage').addEventListener('click', swallow, { capture: true, once: true });
  setTimeout(() => $('stage').removeEventListener('click', swallow, true));
}

function keyDraft() {
  const { width, height } = state.picture;
  if (!width) return;
  const near = state.boxes[boxNodes().indexOf(document.activeElement)];
  state.draft = { box: near ? [...near.bbox]
    : [0.42 * width, 0.25 * height, 0.58 * width, 0.75 * height] };
  place(draftNode(), state.draft.box, state.picture);
  $('stage').focus();
  tell('Arrow keys move the box, with Shift they size it. Enter searches, '
    + 'Escape leaves.');
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1],
  ArrowDown: [0, 1] };

function moveDraft([dx, dy], size) {
  const { width, height } = state.picture;
  const step = Math.max(Math.min(width, height) / 50, 1);
  let [x1, y1, x2, y2] = state.draft.box;
  const limit = (v, low, high) => Math.min(Math.max(v, low), high);
  if (size) {
    x2 = limit(x2 + dx * step, x1 + state.leastSide, width);
    y2 = limit(y2 + dy * step, y1 + state.leastSide, height);
  } else {
    const x = limit(dx * step, -x1, width - x2);
    const y = limit(dy * step, -y1, height - y2);
    [x1, y1, x2, y2] = [x1 + x, y1 + y, x2 + x, y2 + y];
  }
  state.draft.box = [x1, y1, x2, y2];
  place(draftNode(), state.draft.box, state.picture);
}

function stageKey(event) {
  const arrow = ARROWS[event.key];
  const drawing = state.draft?.box && !state.draft.from;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (drawing && arrow) moveDraft(arrow, event.shiftKey);
  else if (drawing && event.key === 'Enter') finishDraft();
  else if (drawing && event.key === 'Escape') { dropDraft(); tell(''); }
  else if (event.key.toLowerCase() === 'b') keyDraft();
  else if (arrow) {
    const nodes = boxNodes();
    const at = nodes.indexOf(document.activeElement);
    const step = arrow[0] + arrow[1];
    const next = at < 0 && step < 0 ? nodes.length - 1 : at + step;
    nodes[(next + nodes.length) % nodes.length]?.focus();
  } else return;
  event.preventDefault();
}

export function showLimits(limits) {
  state.leastSide = limits.box_side;
}

// Args: search(queries, thumbs) is called when somebody was chosen.
export function setUpPicture(search) {
  state.search = search;
  const stage = $('stage');
  stage.addEventListener('pointerdown', startDraft);
  stage.addEventListener('pointermove', stretchDraft);
  stage.addEventListener('pointerup', endDraft);
  stage.addEventListener('pointercancel', dropDraft);
  stage.addEventListener('keydown', stageKey);
  $('draw').addEventListener('click', (event) => {
    const on = $('draw').getAttribute('aria-pressed') !== 'true';
    // Without a pointer it is the key B.
    if (event.detail === 0 && !state.draft) keyDraft();
    else setDrawing(on);
  });
}
