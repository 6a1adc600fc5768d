// Shared by all parts of the page: elements, requests, texts.

const UNIX = 1e8; // larger times are seconds since 1970
export const ASPECT = 2.2; // of crops, as the server cuts them

export const $ = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Of the results, and of the picture.
export const say = (text) => { $('status').textContent = text; };
export const tell = (text) => { $('source-status').textContent = text; };
export const fail = (error) => {
  if (error.name === 'AbortError') return;
  say('');
  tell('');
  $('error').textContent = `${error.message.replace(/\.$/, '')}.`;
  $('error').scrollIntoView({ block: 'nearest' });
};
export const plural = (n, one, many) => (
  `${n.toLocaleString()} ${n === 1 ? one : many}`
);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// ---- the server

// A busy server (503) is asked once more.
export async function api(path, options = {}, again = true) {
  const headers = new Headers(options.headers);
  const token = sessionStorage.getItem('token');
  if (token) headers.set('Authorization', `Bearer ${token}`);
  let response;
  try {
    response = await fetch(`/api/${path}`, { ...options, headers });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error('The server does not answer');
  }
  if (response.ok) return response;
  if (response.status === 401) {
    await askToken(token);
    return api(path, options, again);
  }
  if (response.status === 503 && again) {
    await pause(1000 * Number(response.headers.get('Retry-After') ?? 1));
    return api(path, options, false);
  }
  const body = await response.json().catch(() => ({}));
  throw new Error(body.error ?? `The server answered ${response.status}`);
}

export const get = async (path) => (await api(path)).json();

let asking = null;
function askToken(refused) {
  // Several requests fail at once; one question is enough.
  if (sessionStorage.getItem('token') !== refused) return null;
  asking ??= new Promise((done) => {
    if (refused) $('token-text').textContent = 'This is not the right token.';
    $('token').showModal();
    $('token').oncancel = (event) => event.preventDefault();
    $('token-form').onsubmit = (event) => {
      event.preventDefault();
      sessionStorage.setItem('token', $('token-input').value.trim());
      $('token-input').value = '';
      $('token').close();
      asking = null;
      done();
    };
  });
  return asking;
}

// Pictures are fetched, as <img> cannot send the token.
export async function load(img, path) {
  img.dataset.path = path;
  img.classList.remove('missing');
  img.removeAttribute('src');
  try {
    const response = await api(path);
    const url = URL.createObjectURL(await response.blob());
    if (img.dataset.path === path) {
      img.src = url;
      await img.decode();
    }
    URL.revokeObjectURL(url);
    const size = (side) => Number(response.headers.get(`X-Full-${side}`));
    return { width: size('Width'), height: size('Height') };
  } catch {
    if (img.dataset.path === path) img.classList.add('missing');
    return null;
  }
}

const inView = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    inView.unobserve(target);
    load(target, target.dataset.later);
  }
}, { rootMargin: '300px' });

export function lazyImage(path, alt = '') {
  const img = make('img', { alt, 'data-later': path });
  inView.observe(img);
  return img;
}

// ---- words and figures

export const isUnix = (time) => time > UNIX;

export function timeText(time) {
  if (time === null) return '';
  if (isUnix(time)) {
    return new Date(time * 1000)
      .toLocaleString([], { dateStyle: 'medium', timeStyle: 'medium' });
  }
  const tenths = Math.round(Math.abs(time) * 10);
  const two = (n) => String(n).padStart(2, '0');
  const seconds = `${two(Math.floor(tenths / 10) % 60)}.${tenths % 10}`;
  const minutes = Math.floor(tenths / 600);
  return `${time < 0 ? '-' : ''}${Math.floor(minutes / 60)}:`
    + `${two(minutes % 60)}:${seconds}`;
}

// A name that is a number says nothing by itself.
export const cameraText = (camera) => (
  /^\d+$/.test(camera) ? `camera ${camera}` : camera || 'unknown camera'
);
export const frameText = (frame) => [
  cameraText(frame.camera), timeText(frame.time), frame.name,
].filter(Boolean).join(', ');
