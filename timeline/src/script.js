// Adds pointing, clicking and stepping to a page that is complete without it.
// In: the marks and labels in the document. Out: the details panel, filled.
(() => {
  'use strict';
  const byId = (id) => document.getElementById(id);
  const scroller = byId('scroller');
  const stage = scroller.parentElement;
  const hint = byId('text').textContent;
  const number = (mark) => Number(mark.dataset.n);
  const marks = [...document.querySelectorAll('.mark')].sort((a, b) => number(a) - number(b));
  const labels = new Map();
  for (const label of document.querySelectorAll('.flag, .label')) {
    labels.set(label.dataset.n, [...(labels.get(label.dataset.n) || []), label]);
  }
  const violations = marks.filter((mark) => mark.classList.contains('violation'));
  let chosen = null;
  let last = null; // Where stepping goes on after the details were closed.
  let shown = null;
  document.documentElement.classList.add('live');

  const light = (mark, on) => {
    if (!mark) return;
    mark.classList.toggle('on', on);
    for (const label of labels.get(mark.dataset.n) || []) label.classList.toggle('on', on);
  };

  // One row of the table; a single cell is the name of a moment and spans it.
  const row = (tag, cells) => {
    const line = document.createElement('tr');
    for (const text of cells) {
      const cell = Object.assign(document.createElement(tag), { textContent: text });
      if (cells.length === 1) { cell.colSpan = 3; cell.className = 'moment'; }
      line.append(cell);
    }
    return line;
  };

  // Shows a mark in the panel; with nothing to show the panel closes.
  const show = (mark) => {
    if (shown === mark) return;
    light(shown, false);
    light(mark, true);
    shown = mark;
    stage.classList.toggle('open', mark !== null);
    if (!mark) {
      byId('kind').textContent = 'No event chosen';
      byId('text').textContent = hint;
      byId('count').textContent = '';
      byId('times').replaceChildren();
      return;
    }
    const { kind } = mark.dataset;
    const [party] = kind.split(': ');
    const label = mark.getAttribute('aria-label');
    byId('kind').textContent = kind;
    // The label reads "time, kind. sentence", so the sentence need not be stored twice.
    byId('text').textContent = label.slice(label.indexOf(kind) + kind.length + 2);
    byId('count').textContent = `${number(mark) + 1} of ${marks.length}`;
    byId('times').replaceChildren(
      row('th', ['true time', `${party}'s clock`, "server's clock"]),
      ...mark.dataset.when.split(';').flatMap((line) => {
        const [moment, ...times] = line.split('|');
        return [row('th', [moment]), row('td', times.map((time) => `${time} s`))];
      }),
    );
  };

  // Brings a mark's label to the middle of the part that the panel leaves free.
  const reveal = (mark) => {
    const [label] = labels.get(mark.dataset.n) || [mark];
    const panel = byId('panel');
    const covered = getComputedStyle(panel).position === 'fixed' ? panel.offsetHeight : 0;
    scroller.scrollIntoView({ block: 'start' });
    const inner = scroller.getBoundingClientRect();
    const outer = label.getBoundingClientRect();
    const free = Math.min(inner.height, innerHeight - covered - Math.max(inner.top, 0));
    scroller.scrollBy(
      outer.left - inner.left - Math.max((inner.width - outer.width) / 2, 150),
      outer.top - inner.top - free / 2,
    );
  };

  const choose = (mark, move) => {
    if (!mark) return;
    (last || marks[0]).setAttribute('tabindex', '-1');
    chosen = last = mark;
    mark.setAttribute('tabindex', '0');
    mark.focus({ preventScroll: true });
    show(mark);
    if (move) reveal(mark);
  };

  const step = (by) => {
    choose(marks[last ? Math.min(Math.max(number(last) + by, 0), marks.length - 1) : 0], true);
  };

  const jump = () => {
    choose(violations.find((mark) => last && number(mark) > number(last)) || violations[0], true);
  };

  const close = () => {
    show(chosen = null);
    scroller.focus({ preventScroll: true });
  };

  const under = (event) => {
    const part = event.target.closest('[data-n]');
    return part ? marks[Number(part.dataset.n)] : null;
  };

  scroller.addEventListener('pointerover', (event) => {
    if (event.pointerType !== 'touch') show(under(event) || chosen);
  });
  scroller.addEventListener('pointerleave', () => show(chosen));
  scroller.addEventListener('click', (event) => choose(under(event), false));
  scroller.addEventListener('focusin', (event) => {
    const mark = under(event);
    if (mark && mark !== chosen) choose(mark, false);
  });

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    // Before an event is chosen the arrow keys scroll, as everywhere.
    if (key === 'j' || (chosen && (key === 'ArrowDown' || key === 'ArrowRight'))) step(1);
    else if (key === 'k' || (chosen && (key === 'ArrowUp' || key === 'ArrowLeft'))) step(-1);
    else if (key === 'v' && violations.length > 0) jump();
    else if (key === 'Escape' && shown) close();
    else return;
    event.preventDefault();
  });

  const press = (id, act) => byId(id)?.addEventListener('click', act);
  press('jump', jump); // There is no such button if nothing broke.
  press('previous', () => step(-1));
  press('next', () => step(1));
  press('close', close);
  press('copy', async () => {
    const text = byId('replay');
    try {
      await navigator.clipboard.writeText(text.textContent);
      byId('copy').textContent = 'Copied';
    } catch {
      // Without access to the clipboard the command is at least selected.
      getSelection().selectAllChildren(text);
      byId('copy').textContent = 'Selected';
    }
  });
})();
