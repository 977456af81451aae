// The list of all cases, one case with all its numbers, failures, and what the runs were made with.
function caseList() {
  const usable = withValues();
  const page = 50;
  let chosen = (usable.find(column => column.index === data.primary) || usable[0])?.index ?? null;
  let sort = { run: null, down: true }, filter = '', shown = page;
  const box = el('div', { class: 'scroll' }), more = el('button', { onclick: () => { shown += 4 * page; draw(); } }, 'Show more');
  const search = el('input', { type: 'search', placeholder: 'Name, kind or caption', 'aria-label': 'Find cases', oninput: () => { filter = search.value.toLowerCase(); shown = page; draw(); } });
  const count = el('span', { class: 'lead' });
  section('cases', 'All cases', null, el('div', { class: 'controls' }, search, chosen !== null && choice('Metric', columnOptions(usable), chosen, value => { chosen = value; draw(); }), count), box, el('div', { class: 'controls' }, more));
  function draw() {
    const list = shownRuns();
    const found = data.cases.map((entry, place) => ({ entry, place, values: list.map(run => chosen === null ? null : caseMean(run.index, chosen, place)) }))
      .filter(({ entry }) => `${entry.name} ${entry.category || ''} ${entry.prompt || ''}`.toLowerCase().includes(filter));
    if (sort.run !== null) {
      const at = list.findIndex(run => run.index === sort.run);
      if (at >= 0) found.sort((a, b) => known(a.values[at]) !== known(b.values[at]) ? known(b.values[at]) - known(a.values[at]) : (a.values[at] - b.values[at]) * (sort.down ? -1 : 1) || a.place - b.place);
    }
    count.textContent = found.length === data.cases.length ? plural(found.length, 'case') : `${found.length} of ${plural(data.cases.length, 'case')}`;
    const places = digits(found.flatMap(({ values }) => values));
    box.replaceChildren(el('table', { id: 'case-table' }, el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Case'), el('th', { scope: 'col' }, 'Kind'), el('th', { scope: 'col', class: 'wide-only' }, 'Caption'),
      list.map(run => el('th', { scope: 'col', class: 'num', 'aria-sort': sort.run !== run.index ? 'none' : sort.down ? 'descending' : 'ascending' }, el('button', { class: 'plain', onclick: () => { sort = { run: run.index, down: sort.run === run.index ? !sort.down : true }; draw(); } },
        ...runName(run.index), sort.run === run.index ? (sort.down ? ' \u25be' : ' \u25b4') : ''))))),
    el('tbody', {}, found.slice(0, shown).map(({ entry, place, values }) => el('tr', {}, el('th', { scope: 'row' }, el('button', { class: 'link', onclick: () => openCase(place) }, entry.name)),
      el('td', {}, entry.category || ''), el('td', { class: 'wide-only none' }, shortened(entry.prompt || '', 80)), values.map(value => el('td', { class: known(value) ? 'num' : 'num none' }, fixed(value, places))))))));
    more.hidden = found.length <= shown;
  }
  onRuns(draw);
}

function openCase(place) {
  const dialog = document.getElementById('case'), entry = data.cases[place];
  [...playing].forEach(pause => pause());
  const go = step => openCase((place + step + data.cases.length) % data.cases.length);
  const list = runs.filter(run => run.cases.has(place));
  const media = data.media.find(found => found.case === place);
  const curve = data.curves.find(found => found.column === data.primary) || data.curves[0];
  const lines = curve ? caseCurves(curve, place, list).map(line => ({ ...line, thin: false })) : [];
  const errors = data.failures.filter(failure => failure.case === place);
  const measured = columns.filter(column => list.some(run => known(caseMean(run.index, column.index, place))));
  const fold = new Set(), numbers = el('table', {}), head = el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Metric'), list.map(run => el('th', { scope: 'col', class: 'num' }, el('span', { class: 'key' }, ...runName(run.index))))));
  const draw = group => {
    numbers.replaceChildren(head, ...inGroups(measured, { fold, width: list.length + 1, redraw: draw, row: column => {
      const values = list.map(run => caseMean(run.index, column.index, place)), places = digits(values), there = values.filter(known);
      const best = column.better && there.length > 1 ? Math[column.better === 'lower' ? 'min' : 'max'](...there) : null;
      return el('tr', {}, metricHeading({ ...column, floor: null }), list.map((run, index) => {
        const each = run.cases.get(place).map(row => [data.rows[run.index][row][1], data.values[run.index][column.index][row]]);
        return el('td', { class: `num ${known(best) && values[index] === best ? 'best' : ''} ${known(values[index]) ? '' : 'none'}` }, el('span', { class: 'value' }, fixed(values[index], places)),
          each.length > 1 && el('span', { class: 'sub' }, each.map(([seed, value]) => `${known(seed) ? `seed ${seed}: ` : ''}${fixed(value, places)}`).join(', ')));
      }));
    } }).filter(Boolean));
    numbers.querySelector(`[data-group="${group}"]`)?.focus();
  };
  draw();
  dialog.replaceChildren(el('div', { class: 'top' }, el('h2', { id: 'case-title' }, entry.name, entry.category && el('span', { class: 'unit' }, ` \u00b7 ${entry.category}`)),
    el('button', { onclick: () => go(-1), title: 'Previous case (left arrow)' }, 'Previous'), el('button', { onclick: () => go(1), title: 'Next case (right arrow)' }, 'Next'), el('button', { onclick: () => dialog.close(), autofocus: true }, 'Close')),
  el('div', { class: 'body' }, entry.prompt && el('p', { class: 'prompt' }, entry.prompt), errors.map(failure => el('p', { class: 'notice' }, `${runs[failure.run].label}${known(failure.seed) ? `, seed ${failure.seed}` : ''}: ${failure.error}`)),
    media ? el('div', {}, player(media), colourKeys()) : el('p', { class: 'none' }, 'The videos of this case are not in this page; it holds those of the worst cases.'),
    lines.length > 0 && el('div', {}, el('h3', {}, `${columns[curve.column].name} over time`), curveChart(lines, columns[curve.column], 1040, 240)),
    measured.length ? el('div', { class: 'scroll' }, numbers) : el('p', { class: 'none' }, 'Nothing was measured for this case.')));
  dialog.onkeydown = event => {
    if (event.target.tagName === 'INPUT') return;
    if (event.key === 'ArrowLeft') go(-1);
    if (event.key === 'ArrowRight') go(1);
  };
  dialog.onclick = event => { if (event.target === dialog) dialog.close(); };
  dialog.onclose = () => [...playing].forEach(pause => pause());
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  if (curves.show) curves.show(place);
}

function failures() {
  if (!data.failures.length) return;
  section('failures', 'Failures', 'Videos that are missing or could not be measured. They are counted as missing everywhere above.', el('div', { class: 'scroll' }, el('table', {},
    el('thead', {}, el('tr', {}, ['Run', 'Case', 'Seed', 'Why'].map(text => el('th', { scope: 'col' }, text)))),
    el('tbody', {}, data.failures.map(failure => el('tr', {}, el('td', {}, runs[failure.run].label), el('td', {}, el('button', { class: 'link', onclick: () => openCase(failure.case) }, caseName(failure.case))),
      el('td', {}, known(failure.seed) ? String(failure.seed) : ''), el('td', {}, failure.error)))))));
}

function facts() {
  const names = [...new Set(runs.flatMap(run => run.facts.map(([name]) => name)))];
  const tables = runs.map(run => new Map(run.facts));
  const same = name => tables.every(table => table.has(name) && table.get(name) === tables[0].get(name));
  section('facts', 'What was run', runs.length > 1 ? 'What is the same for all runs stands once.' : null, el('div', { class: 'scroll' }, el('table', { class: 'facts' }, el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, ''), runs.map(run => el('th', { scope: 'col' }, el('span', { class: 'key' }, ...runName(run.index)))))),
    el('tbody', {}, names.map(name => el('tr', {}, el('th', { scope: 'row' }, name), same(name) ? el('td', { colspan: runs.length }, tables[0].get(name)) : tables.map(table => el('td', {}, table.get(name) ?? '')))))))).dataset.short = 'Facts';
}
