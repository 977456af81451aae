// Two runs against each other: paired differences of every metric on one scale.
function between(first, second) {
  const found = data.differences.find(pair => pair.a === Math.min(first, second) && pair.b === Math.max(first, second));
  const turned = first > second;
  return found.columns.map(each => !each || !turned ? each : {
    ...each, mean: -each.mean, low: known(each.high) ? -each.high : null, high: known(each.low) ? -each.low : null,
    first: each.second, second: each.first, wins: each.losses, losses: each.wins,
    win_rate: known(each.win_rate) ? 1 - each.win_rate : null,
  });
}

function compare() {
  if (runs.length < 2) return;
  let first = data.baseline, second = first === 0 ? 1 : 0, sort = 'order', filter = '', everything = false;
  const box = el('div', { class: 'scroll' });
  const controls = el('div', { class: 'controls flat' });
  const search = el('input', { type: 'search', placeholder: 'Filter metrics', 'aria-label': 'Filter metrics', oninput: () => { filter = search.value.toLowerCase(); draw(); } });
  section('compare', 'Paired differences', 'Over the cases and seeds both runs have. The picture shows each mean difference and its 95 % interval in standard deviations '
    + 'of the difference, turned so that right is better for the second run; metrics without a direction are grey. p is that of a permutation of signs, corrected for the number of main metrics (Holm); for the others, for that of all.',
  el('div', { class: 'controls' }, controls, search), box).dataset.short = 'Compare';
  const names = runs.map(run => [run.index, run.label]);

  function draw() {
    controls.replaceChildren(
      choice('First', names, first, value => { if (value === second) second = first; first = value; draw(); }),
      choice('Second', names, second, value => { if (value === first) first = second; second = value; draw(); }),
      choice('Metrics', [[0, 'main'], [1, 'all']], everything ? 1 : 0, value => { everything = Boolean(value); draw(); }),
      choice('Order', [[0, 'by question'], [1, 'largest advantage first']], sort === 'order' ? 0 : 1, value => { sort = value ? 'effect' : 'order'; draw(); }));
    const found = between(first, second);
    const some = !everything && !filter && columns.some(column => found[column.index] && column.main);
    const lines = columns.filter(column => found[column.index] && (!some || column.main) && `${column.name} ${column.qualifiers}`.toLowerCase().includes(filter)).map(column => {
      const each = found[column.index], sign = column.better === 'lower' ? -1 : 1;
      const scale = each.sd > 1e-12 ? sign / each.sd : 0;
      const ends = [each.low, each.high].map(value => known(value) ? value * scale : null);
      return { column, each, effect: each.mean * scale, low: known(ends[0]) ? Math.min(...ends) : null, high: known(ends[1]) ? Math.max(...ends) : null };
    });
    if (!lines.length) { box.replaceChildren(el('p', { class: 'none' }, filter ? 'No metric of that name has a value in both.' : 'There is no case and seed for which a metric has a value in both.')); return; }
    if (sort === 'effect') lines.sort((a, b) => Boolean(b.column.better) - Boolean(a.column.better) || b.effect - a.effect);
    // A difference without any spread would stretch the scale beyond use: it is drawn at the edge.
    const reach = Math.max(.5, Math.min(3, 1.08 * Math.max(...lines.map(line => Math.max(Math.abs(line.low ?? line.effect), Math.abs(line.high ?? line.effect))))));
    const width = innerWidth < 1060 ? 190 : 300, x = value => width / 2 + Math.max(-1, Math.min(1, value / reach)) * (width / 2 - 6);
    box.replaceChildren(el('table', { id: 'compare-table' }, el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Metric'),
      el('th', { scope: 'col', class: 'strip' }, forestAxis(width, x, reach)),
      el('th', { scope: 'col', class: 'num' }, 'First'), el('th', { scope: 'col', class: 'num' }, 'Second'), el('th', { scope: 'col', class: 'num' }, 'Difference'),
      el('th', { scope: 'col', class: 'num', title: 'Share of cases in which the second run is better; a tie counts half' }, 'Second wins'),
      el('th', { scope: 'col', class: 'num' }, 'n'), el('th', { scope: 'col', class: 'num', title: 'Corrected for the number of main metrics, or, for the others, of all (Holm)' }, 'p'))),
    sort === 'effect' ? el('tbody', {}, lines.map(row)) : inGroups(lines.map(line => line.column), { whole: true, width: 8, row: column => row(lines.find(line => line.column === column)) })));
    function row({ column, each, effect, low, high }) {
      const places = digits([each.first, each.second]);
      const paint = column.better ? colour(effect >= 0 ? second : first) : 'var(--faint)';
      const floor = column.floor && Math.max(column.floor[1], column.floor_true ?? 0), small = floor && Math.abs(each.mean) < floor;
      return el('tr', {}, metricHeading({ ...column, floor: null }),
        el('td', { class: 'strip' }, el('svg', { width, height: 26, viewBox: `0 0 ${width} 26`, role: 'img', 'aria-label': `${plain(effect)} standard deviations` },
          el('line', { class: 'zero', x1: width / 2, x2: width / 2, y1: -6, y2: 32 }),
          known(low) && el('line', { x1: x(low), x2: x(high), y1: 13, y2: 13, 'stroke-width': 2.5, 'stroke-linecap': 'round', css: { stroke: paint } }),
          each.sd > 1e-12 && el('circle', { cx: x(effect), cy: 13, r: 4.5, css: { fill: paint } }),
          !(each.sd > 1e-12) && el('text', { x: width / 2 + 8, y: 17 }, each.mean === 0 ? 'equal everywhere' : known(each.sd) ? 'the same in all cases' : 'one case only'))),
        el('td', { class: 'num' }, fixed(each.first, places)), el('td', { class: 'num' }, fixed(each.second, places)),
        el('td', { class: 'num' }, signed(each.mean, places),
          small && el('span', { class: 'chip quiet', title: `Smaller than the tracker's own mean error, ${plain(floor)} px: no finding.${columns.some(other => other.name === 'epe_trackable') ? ' epe_trackable looks only where the tracker works.' : ''}` }, 'below floor'),
          el('span', { class: 'sub' }, known(each.low) ? `${signed(each.low, places)} to ${signed(each.high, places)}` : '')),
        el('td', { class: 'num', title: known(each.wins) ? `${each.wins} better, ${each.ties} equal, ${each.losses} worse; sign test p ${pValue(each.p_sign)}` : '' }, percent(each.win_rate)),
        el('td', { class: 'num' }, String(each.n)), el('td', { class: 'num', title: `uncorrected ${pValue(each.p)}` }, pValue(each.p_holm)));
    }
  }
  function forestAxis(width, x, reach) {
    return el('svg', { width, height: 34, viewBox: `0 0 ${width} 34`, 'aria-hidden': 'true' },
      el('text', { x: 0, y: 11, 'text-anchor': 'start' }, `\u2190 ${shortened(runs[first].label, width / 16)}`), el('text', { x: width, y: 11, 'text-anchor': 'end' }, `${shortened(runs[second].label, width / 16)} \u2192`),
      ticks(-reach, reach, width < 300 ? 3 : 5).map(value => el('text', { x: x(value), y: 31, 'text-anchor': 'middle' }, tickText(value))));
  }
  draw();
}
