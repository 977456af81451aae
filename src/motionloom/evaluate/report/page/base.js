// What all parts share: the data, elements, numbers, colours, the tip beside the pointer, and which runs are shown.
// Text from the data goes into the page as text alone, never as markup.
const data = JSON.parse(document.getElementById('data').textContent);
const runs = data.runs.map((run, index) => ({ ...run, index, cases: new Map() }));
data.rows.forEach((rows, run) => rows.forEach(([place], row) => {
  const found = runs[run].cases.get(place);
  if (found) found.push(row); else runs[run].cases.set(place, [row]);
}));
const columns = data.columns.map((column, index) => ({ ...column, index }));
const state = { hidden: new Set(), listeners: [] };
const shownRuns = () => runs.filter(run => !state.hidden.has(run.index));
const onRuns = listener => { state.listeners.push(listener); listener(); };

function el(tag, attributes = {}, ...children) {
  const node = /^(svg|g|path|line|circle|rect|text|polyline|polygon)$/.test(tag)
    ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'css') for (const [key, entry] of Object.entries(value)) node.style.setProperty(key, entry);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

function section(id, title, lead, ...children) {
  const heading = el('h2', { id: `${id}-title` }, title);
  const node = el('section', { id, 'aria-labelledby': `${id}-title` }, heading, lead && el('p', { class: 'lead' }, lead), ...children);
  document.getElementById('main').append(node);
  return node;
}

const known = value => value !== null && value !== undefined;
const digits = values => {
  const largest = Math.max(0, ...values.filter(known).map(Math.abs));
  return largest === 0 ? 2 : largest < 1e-3 || largest >= 1e6 ? 'e' : Math.min(4, Math.max(0, 3 - Math.floor(Math.log10(largest))));
};
// A true minus, and none before a zero.
const minus = text => text.replace(/^-(?=[\d.]*[1-9])/, '\u2212').replace(/^-/, '').replace('e+', 'e').replace('e-', 'e\u2212');
const fixed = (value, places) => known(value) ? minus(places === 'e' && value !== 0 ? value.toExponential(2) : value.toFixed(places === 'e' ? 0 : places)) : '\u2013';
const plain = value => !known(value) ? '\u2013' : fixed(value, digits([value]));
const signed = (value, places) => !known(value) ? '\u2013' : (value > 0 ? '+' : '') + fixed(value, places);
const percent = value => known(value) ? `${Math.round(100 * value)} %` : '\u2013';
const pValue = value => !known(value) ? '\u2013' : value < 0.001 ? '< 0.001' : value.toFixed(3);
const plural = (count, one, many) => `${count} ${count === 1 ? one : many || `${one}s`}`;
const arrow = column => column.better === 'lower' ? '\u2193' : column.better === 'higher' ? '\u2191' : '';
const direction = column => column.better ? `${column.better} is better` : 'neither direction is better';
const ownName = column => column.name + (column.unit ? ` [${column.unit}]` : '');
const chosenName = column => [ownName(column), twins(column) ? column.qualifiers : ''].filter(Boolean).join(', ');
const twins = column => columns.filter(other => other.name === column.name).length > 1;
const shortened = (text, length = 20) => text.length > length ? `${text.slice(0, length - 1)}\u2026` : text;
const caseName = place => data.cases[place].name;

const colour = run => `var(--run-${run % 8})`;
const resolved = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// Runs differ by shape as well as by colour.
const SHAPES = ['M0-5A5 5 0 1 1 0 5A5 5 0 1 1 0-5Z', 'M-4.6-4.6H4.6V4.6H-4.6Z', 'M0-5.6L5.4 4.4H-5.4Z', 'M0-6L6 0L0 6L-6 0Z',
  'M0 5.6L5.4-4.4H-5.4Z', 'M-1.8-5.5H1.8V-1.8H5.5V1.8H1.8V5.5H-1.8V1.8H-5.5V-1.8H-1.8Z'];
const DASHES = ['', '7 3', '2 3', '9 3 2 3', '4 4', '1 2'];
const shape = run => SHAPES[run % SHAPES.length];
const swatch = run => el('svg', { class: 'swatch', viewBox: '-7 -7 14 14', 'aria-hidden': 'true' }, el('path', { d: shape(run), css: { fill: colour(run) } }));
const runName = run => [swatch(run), el('span', {}, runs[run].label)];

const caseMean = (run, column, place) => {
  const rows = (runs[run].cases.get(place) || []).map(row => data.values[run][column][row]).filter(known);
  return rows.length ? rows.reduce((sum, value) => sum + value, 0) / rows.length : null;
};

const tip = {
  node: document.getElementById('tip'),
  show(event, text) {
    this.node.textContent = text;
    this.node.hidden = false;
    const box = this.node.getBoundingClientRect();
    this.node.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - box.width - 8))}px`;
    this.node.style.top = `${event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 12 : event.clientY + 18}px`;
  },
  hide() { this.node.hidden = true; },
};

function choice(label, options, value, onchange) {
  const select = el('select', { onchange: () => onchange(Number(select.value)) },
    options.map(([key, text]) => Array.isArray(text) ? el('optgroup', { label: key }, text.map(([key, text]) => el('option', { value: key }, text))) : el('option', { value: key }, text)));
  select.value = String(value);
  return el('label', {}, label, select);
}
// Metrics to choose from, by group; `key` is what is chosen.
const columnOptions = (list, key = column => column.index) => data.groups.map((title, group) => [title, list.filter(column => column.group === group).map(column => [key(column), chosenName(column)])]).filter(([, inside]) => inside.length);

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const button = document.getElementById('theme');
  if (button) button.textContent = theme === 'dark' ? 'Light' : 'Dark';
  state.listeners.forEach(listener => listener());
}
const system = matchMedia('(prefers-color-scheme: dark)');
document.documentElement.dataset.theme = system.matches ? 'dark' : 'light';
system.addEventListener('change', () => setTheme(system.matches ? 'dark' : 'light'));

// Round numbers between two values, about as many as asked for.
function ticks(low, high, count) {
  const raw = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(each => each >= raw) || raw;
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) found.push(Number((at * step).toPrecision(12)));
  return found;
}
const tickText = value => minus(String(Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-4) ? value.toExponential(0) : Number(value.toPrecision(6))));
