// The videos of one case side by side, played, paused and moved together. One clock leads; videos follow it.
const blobs = new Map();
function videoAddress(text) {
  if (!blobs.has(text)) blobs.set(text, URL.createObjectURL(new Blob([Uint8Array.from(atob(text), letter => letter.charCodeAt(0))], { type: 'video/webm' })));
  return blobs.get(text);
}
const playing = new Set();

function player(found, heading) {
  const videos = [];
  const panels = found.panels.map(panel => {
    const label = panel.run === null ? el('span', {}, 'true video') : el('span', { class: 'key-label' }, runs[panel.run].label);
    const value = panel.run !== null && known(panel.value) && data.primary !== null ? `${columns[data.primary].name} ${plain(panel.value)}` : '';
    const seed = known(panel.seed) ? `seed ${panel.seed}` : '';
    let picture;
    if (panel.error) picture = el('div', { class: 'lost' }, panel.error);
    else {
      picture = el('video', { muted: true, playsinline: true, preload: 'none', width: panel.width, height: panel.height, poster: `data:image/png;base64,${panel.poster}`, 'aria-label': panel.run === null ? 'true video' : runs[panel.run].label });
      picture.muted = true;
      videos.push({ node: picture, panel });
    }
    return el('figure', { 'data-run': panel.run }, picture, el('figcaption', {}, panel.run === null ? null : swatch(panel.run), label, el('span', { class: 'end' }, [value, seed].filter(Boolean).join(' \u00b7 '))), panel.note && el('span', { class: 'sub note' }, panel.note));
  });
  const length = Math.max(.05, ...videos.map(({ panel }) => shownFrames(panel) / panel.fps)), most = Math.max(1, ...videos.map(({ panel }) => panel.frames));
  let at = 0, last = 0, going = false, request = 0;
  const button = el('button', { onclick: () => going ? pause() : play(), 'aria-pressed': 'false' }, 'Play');
  const bar = el('input', { type: 'range', min: 0, max: 1000, value: 0, step: 1, 'aria-label': 'Position', oninput: () => { pause(); at = bar.value / 1000 * length; show(); } });
  const clock = el('output', {}, '');
  const node = el('div', { class: 'player' }, heading, el('div', { class: 'panels' }, panels), videos.length && el('div', { class: 'transport' }, button, bar, clock));

  function load() { for (const { node: video, panel } of videos) if (!video.src) { video.src = videoAddress(panel.video); video.preload = 'auto'; } }
  // All begin and end together, whatever their rates: the n-th share of one is shown with that of the others.
  const moment = (video, panel) => Math.min(at / length, .9999) * shownFrames(panel) / panel.fps + .25 / panel.fps;
  function show(exactly = true) {
    load();
    for (const { node: video, panel } of videos) {
      const target = moment(video, panel);
      if (exactly || Math.abs(video.currentTime - target) > .12) video.currentTime = target;
    }
    bar.value = Math.round(at / length * 1000);
    clock.textContent = `frame ${Math.min(most - 1, Math.floor(at / length * most))} / ${most - 1}`;
  }
  function step(now) {
    if (!going) return;
    at += (now - last) / 1000;
    last = now;
    if (at >= length) { at = 0; show(); for (const { node: video } of videos) video.play().catch(() => {}); } else show(false);
    request = requestAnimationFrame(step);
  }
  function play() {
    going = true;
    button.textContent = 'Pause';
    button.setAttribute('aria-pressed', 'true');
    playing.add(pause);
    if (at >= length * .999) at = 0;
    show();
    for (const { node: video, panel } of videos) { video.playbackRate = Math.max(.0625, Math.min(16, shownFrames(panel) / panel.fps / length)); video.play().catch(() => {}); }
    last = performance.now();
    request = requestAnimationFrame(step);
  }
  function pause() {
    going = false;
    cancelAnimationFrame(request);
    button.textContent = 'Play';
    button.setAttribute('aria-pressed', 'false');
    playing.delete(pause);
    for (const { node: video } of videos) video.pause();
  }
  node.addEventListener('keydown', event => {
    if (event.target.tagName === 'SELECT') return;
    if (event.key === ' ' && event.target !== button) { event.preventDefault(); if (going) pause(); else play(); }
    if ((event.key === ',' || event.key === '.') && videos.length) { pause(); at = Math.max(0, Math.min(length * .9999, at + (event.key === '.' ? 1 : -1) * length / most)); show(); }
  });
  clock.textContent = `${most} frames`;
  // What is not seen does not play.
  new IntersectionObserver(entries => { for (const entry of entries) if (!entry.isIntersecting && going) pause(); }).observe(node);
  node.play = play;
  node.pause = pause;
  return node;
}
const shownFrames = panel => panel.index ? panel.index.length : panel.frames;
const colourKeys = () => el('p', { class: 'legend' }, el('span', {}, el('i', { class: 'line', 'aria-hidden': 'true' }), 'asked for'),
  el('span', {}, el('i', { class: 'ramp', 'aria-hidden': 'true' }), 'found, by its mean error: none to a tenth of the diagonal; faint where it is lost'));

function worst() {
  if (!data.media.length) return;
  const name = data.primary === null ? '' : ` by ${columns[data.primary].name}`;
  const list = el('div', { class: 'players' });
  const all = el('button', { onclick: () => { const going = playing.size; [...playing].forEach(pause => pause()); if (!going) for (const node of list.children) if (visible(node)) node.play(); } }, 'Play or pause what is in view');
  section('worst', `Worst cases${name}`, 'The worst of each run in turn, with every run on the same case. Space plays and pauses, comma and full stop move by a frame.', colourKeys(), el('div', { class: 'controls' }, all), list).dataset.short = 'Worst cases';
  for (const found of data.media) {
    const entry = data.cases[found.case];
    list.append(player(found, el('div', { class: 'head' }, el('h3', {}, el('button', { class: 'link', onclick: () => openCase(found.case) }, entry.name)),
      entry.category && el('span', { class: 'unit' }, entry.category), found.why.length > 0 && runs.length > 1 && el('span', { class: 'unit' }, `among the worst of ${found.why.map(run => runs[run].label).join(', ')}`),
      entry.prompt && el('p', { class: 'lead' }, entry.prompt))));
  }
  onRuns(() => { for (const figure of list.querySelectorAll('figure[data-run]')) figure.hidden = state.hidden.has(Number(figure.dataset.run)); });
}
const visible = node => { const box = node.getBoundingClientRect(); return box.bottom > 60 && box.top < innerHeight; };
