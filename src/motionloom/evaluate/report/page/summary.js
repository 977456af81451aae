// The header, the table of means, distances of whole sets, and means by kind of motion.
function header() {
  const videos = runs.reduce((sum, run) => sum + run.videos, 0);
  const parts = [plural(runs.length, 'run'), plural(data.cases.length, 'case'), plural(videos, 'video')];
  if (data.failures.length) parts.push(`${data.failures.length} failed`);
  document.getElementById('top').append(
    el('h1', {}, data.title),
    el('p', { class: 'lead' }, [...parts, data.made].join(' \u00b7 ')),
    ...data.notices.map(text => el('p', { class: 'notice' }, text)));
  document.getElementById('foot').append(el('p', {},
    `Written by motionloom ${data.version}. All numbers are in the JSON and CSV files beside this page.`));
}

function navigation() {
  const bar = el('div', { class: 'bar' });
  for (const node of document.querySelectorAll('main > section')) bar.append(el('a', { href: `#${node.id}` }, node.dataset.short || node.querySelector('h2').textContent));
  bar.append(el('span', { class: 'grow' }));
  if (runs.length > 1) for (const run of runs) bar.append(el('button', {
    class: 'key', 'aria-pressed': 'true', title: 'Show or hide this run',
    onclick: event => {
      if (state.hidden.has(run.index)) state.hidden.delete(run.index); else if (shownRuns().length > 1) state.hidden.add(run.index);
      event.currentTarget.setAttribute('aria-pressed', String(!state.hidden.has(run.index)));
      state.listeners.forEach(listener => listener());
    },
  }, ...runName(run.index)));
  bar.append(el('button', { id: 'theme', title: 'Switch between dark and light', onclick: () => setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark') },
    document.documentElement.dataset.theme === 'dark' ? 'Light' : 'Dark'));
  document.getElementById('nav').append(bar);
}

// Rows of metrics under the headings of their groups: the main ones at once, the others when asked for.
// `fold` holds the numbers of groups that are unfolded; `whole` shows everything.
function inGroups(list, { fold, whole, width, row, redraw }) {
  return data.groups.map((title, group) => {
    const inside = list.filter(column => column.group === group), some = inside.filter(column => column.main), rest = inside.length - some.length;
    if (!inside.length) return null;
    const open = whole || !some.length || fold.has(group);
    const button = !whole && some.length > 0 && rest > 0 && el('button', { class: 'link', 'data-group': group, 'aria-expanded': String(open),
      onclick: () => { if (open) fold.delete(group); else fold.add(group); redraw(group); } }, open ? 'fewer' : `${rest} more`);
    return el('tbody', {}, el('tr', { class: 'group' }, el('th', { scope: 'rowgroup', colspan: width }, title, button)), (open ? inside : some).flatMap(row));
  });
}

function metricHeading(column) {
  return el('th', { scope: 'row', title: [column.title, direction(column)].filter(Boolean).join('\n') },
    column.name, ' ', el('span', { class: 'unit' }, [column.unit, arrow(column)].filter(Boolean).join(' ')),
    column.fallback && el('span', { class: 'chip', title: 'Stands in for a metric whose weights were not there; not comparable with published numbers.' }, 'fallback'),
    column.qualifiers && el('span', { class: 'sub' }, column.qualifiers),
    column.floor && (column.name === 'epe' || column.name === 'epe_trackable') && el('span', { class: 'sub', title: 'Error that the tracker itself adds, median to mean: in general at this size, and as it was measured in the true videos here. Differences below it are not findings.' },
      `tracker floor ${column.floor[0] === column.floor[1] ? column.floor[0] : column.floor.join(' to ')} px` + (known(column.floor_true) ? `; in these true videos ${plain(column.floor_true)} px` : '')));
}

function estimateCell(found, places) {
  if (!known(found.mean)) return el('td', { class: 'num none' }, '\u2013');
  const title = `${plural(found.n, 'case')}, ${plural(found.videos, 'video')}` + (found.mark === 'best' ? '\nbest mean' : found.mark === 'tied'
    ? '\nnot told apart from the best: the interval of their paired difference holds zero' : '');
  return el('td', { class: `num ${found.mark || ''}`, title }, el('span', { class: 'value' }, fixed(found.mean, places)),
    el('span', { class: 'sub' }, known(found.low) ? `${fixed(found.low, places)} to ${fixed(found.high, places)}` : `n = ${found.n}`));
}

// All runs of a row on one small axis.
function strip(cells, list, width = 150) {
  const ends = list.flatMap(run => [cells[run.index].low, cells[run.index].high, cells[run.index].mean]).filter(known);
  if (!ends.length) return el('td', { class: 'wide-only' });
  let [low, high] = [Math.min(...ends), Math.max(...ends)];
  if (high - low < 1e-12) { low -= 1; high += 1; }
  const x = value => 8 + (value - low) / (high - low) * (width - 16);
  const height = 11 * list.length + 3;
  return el('td', { class: 'wide-only strip' }, el('svg', { width, height, viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' },
    el('line', { class: 'grid', x1: 0, x2: width, y1: height - .5, y2: height - .5 }),
    list.flatMap((run, line) => {
      const found = cells[run.index], y = 7 + 11 * line;
      if (!known(found.mean)) return [];
      return [known(found.low) && el('line', { x1: x(found.low), x2: x(found.high), y1: y, y2: y, 'stroke-width': 2, 'stroke-linecap': 'round', css: { stroke: colour(run.index), opacity: .55 } }),
        el('path', { d: shape(run.index), transform: `translate(${x(found.mean)} ${y}) scale(.68)`, css: { fill: colour(run.index) } })];
    })));
}

// Each reason once, with the runs it is given in.
function reasonList(cells, list) {
  const found = new Map();
  for (const run of list) for (const [why, count] of cells[run.index].reasons) {
    const entry = found.get(why) || { runs: [], count: 0 };
    entry.runs.push(run.index);
    entry.count += count;
    found.set(why, entry);
  }
  return el('ul', { class: 'why' }, [...found].map(([why, entry]) => el('li', {}, entry.count > 1 && el('span', {}, `${entry.count}\u00a0\u00d7`),
    runs.length > 1 && (entry.runs.length === list.length && list.length > 1 ? el('span', {}, 'all runs') : entry.runs.map(run => el('span', { class: 'who' }, ...runName(run)))), el('span', { class: 'text' }, why))));
}

function summary() {
  const box = el('div', { class: 'scroll' }), rest = el('details', { id: 'no-values' });
  const node = section('summary', 'Summary', 'Mean over cases (seeds of a case are averaged first) with its 95 % bootstrap interval over cases. '
    + (runs.length > 1 ? 'Bold is best; a dotted line marks what cannot be told apart from it. ' : '') + 'What is missing is counted and never averaged in.');
  let sort = { key: 'order', down: false }, filter = '', everything = false;
  const fold = new Set();
  const search = el('input', { type: 'search', placeholder: 'Filter metrics', 'aria-label': 'Filter metrics', oninput: () => { filter = search.value.toLowerCase(); draw(); } });
  const count = el('span', { class: 'lead' });
  const all = el('button', { onclick: () => { everything = !everything; fold.clear(); draw(); } });
  if (!withValues().length) { node.append(el('p', { class: 'notice' }, data.failures.length ? `Nothing was measured: ${data.failures.length} of ${plural(data.rows.flat().length, 'video')} failed, for the reasons below.` : 'Nothing was measured.')); if (!columns.length) return; }
  node.append(el('div', { class: 'controls' }, search, all, count), box, rest);

  // How far ahead of the other runs' mean this one is, in widths of its interval.
  const lead = (column, run) => {
    const cells = data.summary[column.index], own = cells[run];
    const others = shownRuns().filter(other => other.index !== run).map(other => cells[other.index].mean).filter(known);
    if (!known(own.mean)) return -Infinity;
    if (!others.length) return own.mean;
    const width = known(own.low) ? own.high - own.low : 0;
    const gap = own.mean - others.reduce((sum, value) => sum + value, 0) / others.length;
    return !column.better ? -1e9 : (column.better === 'lower' ? -gap : gap) / (width || Math.abs(own.mean) || 1);
  };
  const keys = {
    order: column => column.index, name: column => chosenName(column),
    missing: column => data.summary[column.index].reduce((sum, cell) => sum + cell.missing, 0),
  };
  function head(key, label, attributes = {}, down = false) {
    const own = sort.key === key;
    return el('th', { scope: 'col', 'aria-sort': own ? (sort.down ? 'descending' : 'ascending') : 'none', ...attributes },
      el('button', { class: 'plain', onclick: () => {
        sort = own ? (sort.down === down ? { key, down: !down } : { key: 'order', down: false }) : { key, down };
        draw();
        box.querySelector(`[data-key="${key}"]`)?.focus();
      }, 'data-key': key }, ...[label].flat(), own ? (sort.down ? ' \u25be' : ' \u25b4') : ''));
  }
  function draw() {
    const list = shownRuns();
    const fitting = columns.filter(column => `${column.name} ${column.qualifiers} ${column.title}`.toLowerCase().includes(filter));
    const found = fitting.filter(column => list.some(run => known(data.summary[column.index][run.index].mean)));
    const empty = fitting.filter(column => !found.includes(column));
    const key = keys[sort.key] || (column => lead(column, Number(sort.key)));
    found.sort((a, b) => { const [x, y] = [key(a), key(b)]; return (x < y ? -1 : x > y ? 1 : a.index - b.index) * (sort.down ? -1 : 1); });
    const whole = everything || filter !== '', grouped = sort.key === 'order';
    const first = found.filter(column => whole || column.main || fold.has(column.group));
    all.hidden = filter !== '' || found.every(column => column.main);
    all.textContent = everything ? 'Main metrics only' : `All ${found.length} metrics`;
    count.textContent = filter === '' ? '' : found.length ? plural(found.length, 'metric') : 'No metric of that name has a value.';
    rest.hidden = !empty.length;
    rest.replaceChildren(el('summary', {}, `${plural(empty.length, 'metric')} without any value`), el('table', {}, el('tbody', {}, empty.map(column => el('tr', {}, metricHeading(column),
      el('td', {}, reasonList(data.summary[column.index], list)))))));
    const row = column => {
      const cells = data.summary[column.index];
      const places = digits(list.map(run => cells[run.index].mean));
      const missing = list.reduce((sum, run) => sum + cells[run.index].missing, 0);
      const counts = [...new Set(list.map(run => cells[run.index].n))];
      const why = el('tr', { hidden: true }, el('td', { colspan: list.length + 4 }, missing > 0 && reasonList(cells, list)));
      const button = missing ? el('button', { class: 'link', 'aria-expanded': 'false', title: list.flatMap(run => cells[run.index].reasons.slice(0, 3).map(([text, many]) => `${run.label}: ${many} \u00d7 ${text}`)).join('\n'),
        onclick: () => { why.hidden = !why.hidden; button.setAttribute('aria-expanded', String(!why.hidden)); } }, String(missing)) : el('span', { class: 'none' }, '0');
      return [el('tr', {}, metricHeading(column), list.map(run => estimateCell(cells[run.index], places)), strip(cells, list),
        el('td', { class: 'num' }, counts.join(' / ')), el('td', { class: 'num' }, button)), why];
    };
    const redraw = group => { draw(); box.querySelector(`[data-group="${group}"]`)?.focus(); };
    box.replaceChildren(el('table', { id: 'summary-table' }, el('thead', {}, el('tr', {}, head('name', 'Metric'),
      list.map(run => head(String(run.index), runName(run.index), { class: 'num', title: 'Sort by how far this run is ahead of the others' }, true)),
      el('th', { scope: 'col', class: 'wide-only' }, 'Means and intervals'), el('th', { scope: 'col', class: 'num', title: 'Cases with a value' }, 'n'),
      head('missing', 'Missing', { class: 'num' }, true))), grouped ? inGroups(found, { fold, whole, width: list.length + 4, row, redraw }) : el('tbody', {}, (first.length ? first : found).flatMap(row))));
  }
  onRuns(draw);
}

function totals() {
  if (!data.totals.length) return;
  const box = el('div', { class: 'scroll' }), rest = el('details');
  section('sets', 'Whole sets', 'All videos of a run together: how far their set is from that of the true videos, and means over all frames or points of all videos. One number each, which has no interval; distances of sets of few videos are large for that alone.', box, rest).dataset.short = 'Sets';
  onRuns(() => {
    const list = shownRuns();
    const found = data.totals.filter(total => list.some(run => known(total.cells[run.index]?.value)));
    const empty = data.totals.filter(total => !found.includes(total));
    box.replaceChildren(found.length ? el('table', {}, el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Metric'), list.map(run => el('th', { scope: 'col', class: 'num' }, el('span', { class: 'key' }, ...runName(run.index)))))),
      el('tbody', {}, found.map(total => {
        const values = list.map(run => total.cells[run.index]?.value);
        const places = digits(values);
        const best = total.better && values.filter(known).length > 1 ? Math[total.better === 'lower' ? 'min' : 'max'](...values.filter(known)) : null;
        return el('tr', {}, metricHeading(total), list.map(run => {
          const cell = total.cells[run.index];
          if (!cell) return el('td', { class: 'num none' }, '\u2013');
          if (!known(cell.value)) return el('td', { class: 'num none' }, 'none', el('span', { class: 'sub text' }, cell.reason));
          return el('td', { class: `num ${cell.value === best ? 'best' : ''}` }, el('span', { class: 'value' }, fixed(cell.value, places)), known(cell.n) && el('span', { class: 'sub' }, `n = ${cell.n}`), cell.note && el('span', { class: 'sub text' }, cell.note));
        }));
      }))) : '');
    rest.hidden = !empty.length;
    rest.replaceChildren(el('summary', {}, `${plural(empty.length, 'metric')} without any value`), el('table', {}, el('tbody', {}, empty.map(total => el('tr', {}, metricHeading(total),
      el('td', {}, reasonList(total.cells.map(cell => ({ reasons: cell ? [[cell.reason, 1]] : [] })), list)))))));
  });
}

function categories() {
  if (!data.categories.length) return;
  const box = el('div', { class: 'scroll' });
  const usable = columns.filter(column => data.summary[column.index].some(cell => known(cell.mean)));
  if (!usable.length) return;
  let chosen = (usable.find(column => column.index === data.primary) || usable[0]).index;
  section('kinds', 'By kind of motion', 'Bold is the best mean; the intervals say how sure it is. Cases without a kind are in the summary alone.', el('div', { class: 'controls' },
    choice('Metric', columnOptions(usable), chosen, value => { chosen = value; draw(); })), box).dataset.short = 'Kinds';
  function draw() {
    const list = shownRuns(), column = columns[chosen];
    const lines = data.categories.map((name, index) => [name, data.by_category[index][chosen]]);
    const places = digits(lines.flatMap(([, cells]) => list.map(run => cells[run.index].mean)));
    box.replaceChildren(el('table', {}, el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, `Kind, ${chosenName(column)} ${arrow(column)}`),
      list.map(run => el('th', { scope: 'col', class: 'num' }, el('span', { class: 'key' }, ...runName(run.index)))), el('th', { scope: 'col', class: 'wide-only' }, 'Means and intervals'), el('th', { scope: 'col', class: 'num' }, 'n'))),
    el('tbody', {}, lines.map(([name, cells]) => {
      const values = list.map(run => cells[run.index].mean).filter(known);
      const best = column.better && values.length > 1 ? Math[column.better === 'lower' ? 'min' : 'max'](...values) : null;
      return el('tr', {}, el('th', { scope: 'row' }, name), list.map(run => estimateCell({ ...cells[run.index], mark: cells[run.index].mean === best && known(best) ? 'best' : '' }, places)), strip(cells, list),
        el('td', { class: 'num' }, [...new Set(list.map(run => cells[run.index].n))].join(' / ')));
    }))));
  }
  onRuns(draw);
}
