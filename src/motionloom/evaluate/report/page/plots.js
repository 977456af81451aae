// Cases as points, and errors over time.
const withValues = () => columns.filter(column => data.summary[column.index].some(cell => known(cell.mean)));

function scatter() {
  const usable = withValues();
  if (!usable.length || data.cases.length < 2) return;
  const primary = usable.find(column => column.index === data.primary) || usable[0];
  const other = usable.find(column => column.better && column.name !== primary.name && !column.name.startsWith(primary.name)) || usable.find(column => column !== primary) || primary;
  let mode = runs.length > 1 ? 1 : 0, across = primary.index, up = other.index, first = data.baseline, second = first === 0 ? 1 : 0, log = 0;
  let points = [], near = null;
  const controls = el('div', { class: 'controls' });
  const canvas = el('canvas', { role: 'img', tabindex: '0', 'aria-label': 'Cases as points. The list of cases below holds the same numbers.' });
  const note = el('p', { class: 'lead' });
  section('scatter', 'Case by case', 'Each point is a case (the mean of its seeds). Choose a point to open the case.', controls, el('div', { class: 'chart' }, canvas), note);

  function settings() {
    const metrics = columnOptions(usable), names = runs.map(run => [run.index, run.label]);
    controls.replaceChildren(...[
      runs.length > 1 && choice('Compare', [[0, 'two metrics'], [1, 'two runs']], mode, value => { mode = value; settings(); draw(); }),
      choice(mode ? 'Metric' : 'Across', metrics, across, value => { across = value; draw(); }),
      mode ? choice('Across', names, first, value => { first = value; draw(); }) : choice('Up', metrics, up, value => { up = value; draw(); }),
      mode && choice('Up', names, second, value => { second = value; draw(); }),
      choice('Scale', [[0, 'linear'], [1, 'logarithmic']], log, value => { log = value; draw(); }),
    ].filter(Boolean));
  }
  function collect() {
    const found = [];
    for (let place = 0; place < data.cases.length; place++) {
      if (mode) {
        const [x, y] = [caseMean(first, across, place), caseMean(second, across, place)];
        if (known(x) && known(y)) found.push({ place, x, y, run: columns[across].better && x !== y ? ((y < x) === (columns[across].better === 'lower') ? second : first) : null });
      } else for (const run of shownRuns()) {
        const [x, y] = [caseMean(run.index, across, place), caseMean(run.index, up, place)];
        if (known(x) && known(y)) found.push({ place, x, y, run: run.index });
      }
    }
    const fitting = log ? found.filter(point => point.x > 0 && point.y > 0) : found;
    return { all: fitting, without: found.length - fitting.length };
  }
  function draw() {
    const { all, without } = collect();
    const width = canvas.parentElement.clientWidth || 900, height = Math.min(520, Math.max(340, width * .46)), ratio = devicePixelRatio || 1;
    canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = `${height}px`;
    const pen = canvas.getContext('2d');
    pen.scale(ratio, ratio);
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const soft = resolved('--soft'), hair = resolved('--hair'), line = resolved('--line');
    points = [];
    note.textContent = all.length ? (mode ? `${plural(all.length, 'case')} that both runs have; ` + (columns[across].better ? 'the colour and shape are those of the better run; on the line both are equal.' : 'on the line both are equal.') : `${plural(all.length, 'point')}.`) + (without ? ` ${plural(without, 'point')} at or below zero ${without === 1 ? 'has' : 'have'} no place on this scale.` : '') : 'There is nothing to show for this choice.';
    if (!all.length) return;
    const to = log ? Math.log10 : value => value, from = log ? value => 10 ** value : value => value;
    const range = values => { const low = Math.min(...values), high = Math.max(...values), room = (high - low || Math.abs(high) || 1) * .05; return [low - room, high + room]; };
    let [left, right] = range(all.map(point => to(point.x))), [low, high] = range(all.map(point => to(point.y)));
    if (mode) { left = low = Math.min(left, low); right = high = Math.max(right, high); }
    const box = { left: 66, top: 10, right: width - 14, bottom: height - 46 };
    const px = value => box.left + (to(value) - left) / (right - left) * (box.right - box.left);
    const py = value => box.bottom - (to(value) - low) / (high - low) * (box.bottom - box.top);
    const marks = (a, b, count) => log && b - a > 1 ? ticks(Math.ceil(a), Math.floor(b), count).filter(Number.isInteger).map(from) : ticks(from(a), from(b), count).filter(value => to(value) >= a);
    pen.lineWidth = 1;
    pen.textAlign = 'center';
    for (const value of marks(left, right, 8)) { pen.strokeStyle = hair; pen.beginPath(); pen.moveTo(px(value), box.top); pen.lineTo(px(value), box.bottom); pen.stroke(); pen.fillStyle = soft; pen.fillText(tickText(value), px(value), box.bottom + 17); }
    pen.textAlign = 'right';
    for (const value of marks(low, high, 6)) { pen.strokeStyle = hair; pen.beginPath(); pen.moveTo(box.left, py(value)); pen.lineTo(box.right, py(value)); pen.stroke(); pen.fillStyle = soft; pen.fillText(tickText(value), box.left - 8, py(value) + 4); }
    pen.strokeStyle = line; pen.beginPath(); pen.moveTo(box.left, box.top); pen.lineTo(box.left, box.bottom); pen.lineTo(box.right, box.bottom); pen.stroke();
    pen.fillStyle = soft; pen.textAlign = 'center';
    const [xText, yText] = mode ? [`${runs[first].label}: ${chosenName(columns[across])}`, runs[second].label] : [`${chosenName(columns[across])} ${arrow(columns[across])}`, `${chosenName(columns[up])} ${arrow(columns[up])}`];
    pen.fillText(shortened(xText, 110), (box.left + box.right) / 2, height - 8);
    pen.save(); pen.translate(13, (box.top + box.bottom) / 2); pen.rotate(-Math.PI / 2); pen.fillText(shortened(yText, 56), 0, 0); pen.restore();
    if (mode) { pen.strokeStyle = resolved('--faint'); pen.setLineDash([4, 4]); pen.beginPath(); pen.moveTo(px(from(left)), py(from(left))); pen.lineTo(px(from(right)), py(from(right))); pen.stroke(); pen.setLineDash([]); }
    const paths = SHAPES.map(text => new Path2D(text)), size = all.length > 1500 ? .55 : all.length > 300 ? .7 : .95;
    pen.globalAlpha = all.length > 300 ? .65 : .85;
    for (const point of all) {
      const at = { ...point, px: px(point.x), py: py(point.y) };
      points.push(at);
      pen.save(); pen.translate(at.px, at.py); pen.scale(size, size);
      pen.fillStyle = point.run === null ? soft : resolved(`--run-${point.run % 8}`);
      pen.fill(paths[(point.run ?? 0) % paths.length]); pen.restore();
    }
    pen.globalAlpha = 1;
    if (near !== null && points[near]) ring(pen, points[near]);
  }
  function ring(pen, point) { pen.strokeStyle = resolved('--ink'); pen.lineWidth = 2; pen.beginPath(); pen.arc(point.px, point.py, 8, 0, 7); pen.stroke(); }
  const text = point => [caseName(point.place), mode ? '' : runs[point.run].label,
    mode ? `${runs[first].label}: ${plain(point.x)}` : `${columns[across].name}: ${plain(point.x)}`, mode ? `${runs[second].label}: ${plain(point.y)}` : `${columns[up].name}: ${plain(point.y)}`].filter(Boolean).join('\n');
  function nearest(event) {
    const box = canvas.getBoundingClientRect(), [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let found = null, least = 16 ** 2;
    points.forEach((point, index) => { const gap = (point.px - x) ** 2 + (point.py - y) ** 2; if (gap < least) { least = gap; found = index; } });
    return found;
  }
  const choose = (found, event) => {
    if (found !== near) { near = found; draw(); }
    canvas.style.cursor = found === null ? 'default' : 'pointer';
    if (found === null) tip.hide(); else tip.show(event, text(points[found]));
  };
  canvas.addEventListener('pointermove', event => choose(nearest(event), event));
  canvas.addEventListener('pointerleave', () => { near = null; tip.hide(); draw(); });
  canvas.addEventListener('click', event => { const found = nearest(event); if (found !== null) { tip.hide(); openCase(points[found].place); } });
  canvas.addEventListener('keydown', event => {
    if (!points.length) return;
    if (event.key === 'Enter' && near !== null) { event.preventDefault(); tip.hide(); openCase(points[near].place); return; }
    const step = { ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, ArrowUp: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const order = points.map((_, index) => index).sort((a, b) => points[a].px - points[b].px || a - b);
    const next = order[(Math.max(0, order.indexOf(near ?? order[0])) + (near === null ? 0 : step) + order.length) % order.length];
    const box = canvas.getBoundingClientRect();
    choose(next, { clientX: box.left + points[next].px, clientY: box.top + points[next].py });
  });
  canvas.addEventListener('blur', () => { near = null; tip.hide(); draw(); });
  settings();
  onRuns(draw);
  let pending = 0;
  addEventListener('resize', () => { cancelAnimationFrame(pending); pending = requestAnimationFrame(draw); });
}

// One chart of curves: [{mean, low, high, run, thin}], drawn into an SVG.
function curveChart(lines, column, width = 1120, height = 320) {
  const values = lines.flatMap(line => [...line.mean, ...(line.low || []), ...(line.high || [])]).filter(known);
  const frames = Math.max(...lines.map(line => line.mean.length));
  let low = Math.min(...values), high = Math.max(...values);
  if (column.better === 'lower' && low > 0 && low < .6 * high) low = 0;
  if (high - low < 1e-12) { low -= 1; high += 1; }
  const box = { left: 58, top: 12, right: width - 14, bottom: height - 40 };
  const x = frame => box.left + (frames < 2 ? .5 : frame / (frames - 1)) * (box.right - box.left);
  const y = value => box.bottom - (value - low) / (high - low) * (box.bottom - box.top);
  const pieces = line => {
    const found = [];
    let open = false;
    line.forEach((value, frame) => { if (!known(value)) { open = false; return; } found.push(`${open ? 'L' : 'M'}${x(frame).toFixed(1)} ${y(value).toFixed(1)}`); open = true; });
    return found.join('');
  };
  const band = line => {
    const inside = line.mean.map((_, frame) => frame).filter(frame => known(line.low?.[frame]) && known(line.high?.[frame]));
    if (inside.length < 2) return null;
    const edge = [...inside.map(frame => `${x(frame).toFixed(1)} ${y(line.low[frame]).toFixed(1)}`), ...inside.reverse().map(frame => `${x(frame).toFixed(1)} ${y(line.high[frame]).toFixed(1)}`)];
    return el('path', { d: `M${edge.join('L')}Z`, css: { fill: colour(line.run), opacity: .14 } });
  };
  const node = el('svg', { class: 'wide', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${chosenName(column)} over frames` },
    ticks(low, high, 5).map(value => [el('line', { class: 'grid', x1: box.left, x2: box.right, y1: y(value), y2: y(value) }), el('text', { x: box.left - 8, y: y(value) + 4, 'text-anchor': 'end' }, tickText(value))]).flat(),
    ticks(0, Math.max(frames - 1, 1), 10).filter(Number.isInteger).map(value => el('text', { x: x(value), y: box.bottom + 18, 'text-anchor': 'middle' }, String(value))),
    el('line', { class: 'axis', x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
    el('text', { x: (box.left + box.right) / 2, y: height - 4, 'text-anchor': 'middle' }, 'frame'), el('text', { x: 13, y: (box.top + box.bottom) / 2, 'text-anchor': 'middle', transform: `rotate(-90 13 ${(box.top + box.bottom) / 2})` }, `${ownName(column)} ${arrow(column)}`),
    lines.map(band),
    lines.map(line => el('path', { d: pieces(line.mean), fill: 'none', 'stroke-width': line.thin ? 1.6 : 2.2, 'stroke-linejoin': 'round', 'stroke-dasharray': line.thin ? '3 3' : DASHES[line.run % DASHES.length], css: { stroke: colour(line.run) } })),
    lines.filter(line => frames === 1 && known(line.mean[0])).map(line => el('circle', { cx: x(0), cy: y(line.mean[0]), r: 3, css: { fill: colour(line.run) } })));
  node.addEventListener('pointermove', event => {
    const place = node.getBoundingClientRect();
    const frame = Math.round(((event.clientX - place.left) / place.width * width - box.left) / (box.right - box.left) * (frames - 1));
    if (frame < 0 || frame >= frames) { tip.hide(); return; }
    tip.show(event, [`frame ${frame}`, ...lines.filter(line => known(line.mean[frame])).map(line => `${line.label || runs[line.run].label}: ${plain(line.mean[frame])}`
      + (known(line.low?.[frame]) ? ` (${plain(line.low[frame])} to ${plain(line.high[frame])})` : ''))].join('\n'));
  });
  node.addEventListener('pointerleave', () => tip.hide());
  return node;
}

function curves() {
  if (!data.curves.length) return;
  let chosen = Math.max(0, data.curves.findIndex(curve => curve.column === data.primary)), single = -1;
  const chart = el('div', { class: 'chart' }), keys = el('p', { class: 'legend' }), controls = el('div', { class: 'controls' });
  section('curves', 'Over time', 'Mean over cases at each frame, with its 95 % bootstrap interval. A single case is dashed.', controls, chart, keys);
  const names = el('datalist', { id: 'case-names' }, data.cases.slice(0, 2000).map(found => el('option', { value: found.name })));
  const search = el('input', { type: 'search', list: 'case-names', placeholder: 'none', onchange: () => { single = data.cases.findIndex(found => found.name === search.value); draw(); } });
  const metric = choice('Metric', columnOptions(data.curves.map(curve => columns[curve.column]), column => data.curves.findIndex(curve => curve.column === column.index)), chosen, value => { chosen = value; draw(); });
  controls.append(metric, el('label', {}, 'Single case', search), names);
  function draw() {
    const curve = data.curves[chosen], list = shownRuns().filter(run => curve.runs[run.index]);
    const lines = list.map(run => ({ ...curve.runs[run.index], run: run.index }));
    if (single >= 0) lines.push(...caseCurves(curve, single, list));
    if (!lines.length) { chart.replaceChildren(el('p', { class: 'none' }, 'The runs that are shown have no curve.')); return; }
    chart.replaceChildren(curveChart(lines, columns[curve.column]));
    keys.replaceChildren(...list.map(run => el('span', {}, lineKey(run.index), run.label)), single >= 0 ? el('button', { class: 'link', onclick: () => openCase(single) }, `open ${caseName(single)}`) : '');
  }
  onRuns(draw);
  curves.show = place => { single = place; search.value = caseName(place); draw(); };
}
const lineKey = run => el('svg', { width: 26, height: 8, viewBox: '0 0 26 8', 'aria-hidden': 'true' }, el('line', { x1: 0, x2: 26, y1: 4, y2: 4, 'stroke-width': 2.4, 'stroke-dasharray': DASHES[run % DASHES.length], css: { stroke: colour(run) } }));
const caseCurves = (curve, place, list) => list.flatMap(run => (run.cases.get(place) || []).filter(row => curve.rows[`${run.index}:${row}`])
  .map(row => ({ mean: curve.rows[`${run.index}:${row}`], run: run.index, thin: true, label: `${run.label}, ${caseName(place)}${known(data.rows[run.index][row][1]) ? `, seed ${data.rows[run.index][row][1]}` : ''}` })));
