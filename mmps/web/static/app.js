// The page of a gallery: choose a picture, click a person, see answers.

import {
  $, api, fail, get, lazyImage, make, plural, say, tell, timeText, cameraText,
  frameText,
} from './common.js';
import { noteTimes, setUpFilters, showCameras } from './filters.js';
import { setUpPicture, show, showLimits } from './picture.js';
import { search, searchAgain, setUpResults, showInfo } from './results.js';

const PAGE = 12; // frames to choose from
const KINDS = ['image/jpeg', 'image/png', 'image/webp'];
let info = null;
let page = 0;

async function refresh() {
  info = await get('info');
  const { rows, frames, cameras } = info;
  const known = cameras.filter(Boolean); // '' is of frames without one
  $('gallery-info').textContent = [
    plural(rows, 'person', 'people'),
    plural(frames, 'frame', 'frames'),
    known.length && plural(known.length, 'camera', 'cameras'),
    info.model,
  ].filter(Boolean).join(' · ');
  showInfo(info);
  showLimits(info.limits);
  showCameras(cameras);
  $('choose').disabled = !frames;
  $('filters').hidden = !rows;
  if (!rows) {
    say('The gallery is empty: nobody has been indexed yet. Pictures that '
      + 'are added can be searched at once.');
  }
}

// ---- a picture of one's own

async function upload(file) {
  $('error').textContent = '';
  const most = info?.limits.upload_bytes ?? Infinity;
  try {
    if (file.type && !KINDS.includes(file.type)) {
      throw new Error(`${file.name}: expected a JPEG, PNG or WebP picture`);
    }
    if (file.size > most) {
      throw new Error(`${file.name}: larger than `
        + `${Math.floor(most / 2 ** 20)} MB`);
    }
    tell('Looking for people …');
    const options = { method: 'POST', body: file };
    const picture = await (await api('uploads', options)).json();
    closeFrames();
    await show({ ...picture, kind: 'upload', name: file.name });
  } catch (error) {
    fail(error);
  }
}

function takeFirst(files) {
  if (files?.length) upload(files[0]);
  return Boolean(files?.length);
}

function setUpUpload() {
  $('upload').addEventListener('click', () => $('file').click());
  $('file').addEventListener('change', () => {
    takeFirst($('file').files);
    $('file').value = ''; // the same file may be chosen again
  });
  const drag = (on) => document.body.classList.toggle('dragging', on);
  addEventListener('dragover', (event) => {
    event.preventDefault();
    drag(true);
  });
  addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) drag(false);
  });
  addEventListener('drop', (event) => {
    event.preventDefault();
    drag(false);
    takeFirst(event.dataTransfer.files);
  });
  addEventListener('paste', (event) => {
    if (takeFirst(event.clipboardData.files)) event.preventDefault();
  });
}

// ---- a frame of the gallery

function closeFrames() {
  $('frames').hidden = true;
  $('choose').setAttribute('aria-expanded', 'false');
}

async function openFrame(frame) {
  $('error').textContent = '';
  try {
    const people = await get(`frames/${frame.id}/people`);
    closeFrames();
    const name = frameText(frame);
    const { id, width, height } = frame;
    const shown = show({ kind: 'frame', id, width, height, people, name });
    $('stage').focus({ preventScroll: true });
    $('stage').scrollIntoView({ block: 'nearest' });
    await shown;
  } catch (error) {
    fail(error);
  }
}

async function showFrames(wanted) {
  try {
    await refresh(); // there may be more by now
    const last = Math.max(Math.ceil(info.frames / PAGE) - 1, 0);
    page = Math.min(Math.max(wanted, 0), last);
    const path = `frames?offset=${PAGE * page}&limit=${PAGE}`;
    const frames = await get(path);
    noteTimes(frames);
    $('frame-list').replaceChildren(...frames.map((frame) => make('li', {},
      make('button', { onclick: () => openFrame(frame) },
        lazyImage(`frames/${frame.id}/image?max_side=320`),
        make('span', {}, cameraText(frame.camera)),
        make('span', { class: 'muted' },
          timeText(frame.time) || frame.name)))));
    $('frames-page').textContent = `Page ${page + 1} of ${last + 1}`;
    $('frames-back').disabled = page === 0;
    $('frames-on').disabled = page === last;
  } catch (error) {
    fail(error);
  }
}

function setUpFrames() {
  $('choose').addEventListener('click', () => {
    const open = $('frames').hidden;
    $('frames').hidden = !open;
    $('choose').setAttribute('aria-expanded', open);
    if (open) showFrames(page);
  });
  $('frames-back').addEventListener('click', () => showFrames(page - 1));
  $('frames-on').addEventListener('click', () => showFrames(page + 1));
}

setUpUpload();
setUpFrames();
setUpPicture(search);
setUpFilters(searchAgain);
setUpResults(openFrame);
try {
  await refresh();
  noteTimes(await get('frames?limit=50'));
} catch (error) {
  fail(error);
}
