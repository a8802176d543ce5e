/** The look of the timeline page. No script and nothing from elsewhere: it opens in mail, in CI and offline. */
export const style = `
:root {
  color-scheme: light dark;
  --paper: #fbfaf7; --panel: #ffffff; --ink: #20242c; --faint: #6b7280; --rule: #e3e0d8; --stripe: #f4f2ec;
  --read: #dce9f8; --read-edge: #5b8fc7; --write: #fdefcf; --write-edge: #c7962e;
  --stuck: #fbdcd8; --stuck-edge: #c8372d; --path: #1c7c5a; --on-path: #ffffff; --state: #e2f2ea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181d; --panel: #1d2027; --ink: #e6e4df; --faint: #9aa0ab; --rule: #33373f; --stripe: #1a1d23;
    --read: #1f3550; --read-edge: #6ba2dd; --write: #463818; --write-edge: #d3a648;
    --stuck: #54231f; --stuck-edge: #f0685d; --path: #4cc59a; --on-path: #10241c; --state: #1d3a2f;
  }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem clamp(1rem, 4vw, 3.5rem); background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
header { max-width: 62rem; }
h1 { margin: 0 0 .25rem; font-size: 1.45rem; letter-spacing: -.01em; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.05rem; }
p { margin: .4rem 0; }
code, svg text, td.mono, .detail dd { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
code { overflow-wrap: anywhere; }
.faint { color: var(--faint); }
.stuck-text { color: var(--stuck-edge); font-weight: 600; }
.orders { margin: 1.4rem 0 .7rem; display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
.orders label { padding: .25rem .75rem; border: 1px solid var(--rule); border-radius: 999px; background: var(--panel);
  cursor: pointer; max-width: 30rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.choice { position: absolute; opacity: 0; pointer-events: none; }
.chart { display: flex; border: 1px solid var(--rule); border-radius: 10px; background: var(--panel); overflow: hidden; }
.chart > svg { flex: none; border-right: 1px solid var(--rule); }
/* Right to left, so that the page opens at the end, where the history goes wrong. */
.scroll { overflow-x: auto; direction: rtl; flex: 1; }
.scroll > svg { direction: ltr; display: block; margin: 0 auto 0 0; }
svg text { font-size: 12px; fill: var(--ink); }
svg .client { font-family: system-ui, sans-serif; fill: var(--faint); }
.stripe { fill: var(--stripe); }
.bar rect { fill: var(--write); stroke: var(--write-edge); }
.bar.read rect { fill: var(--read); stroke: var(--read-edge); }
.bar.pending rect { stroke-dasharray: 5 4; }
.bar.stuck rect { fill: var(--stuck); stroke: var(--stuck-edge); stroke-width: 2.5; }
.bar { cursor: default; outline: none; }
.bar:hover rect, .bar:focus rect { stroke-width: 2.5; }
.wall { stroke: var(--stuck-edge); stroke-width: 1.5; stroke-dasharray: 2 4; }
.wall-label { fill: var(--stuck-edge) !important; font-family: system-ui, sans-serif !important; font-weight: 600; }
.path { display: none; pointer-events: none; }
.path polyline { fill: none; stroke: var(--path); stroke-width: 1.5; opacity: .55; }
.path circle { fill: var(--path); }
.path .order { fill: var(--on-path); font-size: 9.5px; font-weight: 700; text-anchor: middle; }
.path .state { fill: var(--state); stroke: var(--path); stroke-opacity: .5; }
.details { margin-top: .8rem; padding: .8rem 1.1rem; min-height: 7.6rem; border: 1px solid var(--rule);
  border-radius: 10px; background: var(--panel); }
.detail { display: none; margin: 0; grid-template-columns: max-content 1fr; gap: .1rem 1rem; }
.detail dt { color: var(--faint); }
.detail dd { margin: 0; overflow-wrap: anywhere; max-height: 9rem; overflow-y: auto; font-size: .88rem; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; margin: .8rem 0; font-size: .87rem; color: var(--faint); }
.legend i { display: inline-block; width: 1.6em; height: .85em; margin-right: .4em; border: 1.5px solid; border-radius: 3px;
  vertical-align: -.08em; }
.legend .dot { width: .85em; border-radius: 50%; background: var(--path); border-color: var(--path); }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .87rem; }
th { text-align: left; font-weight: 600; color: var(--faint); }
th, td { padding: .22rem .9rem .22rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
td.mono { overflow-wrap: anywhere; max-width: 34rem; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.stuck td { color: var(--stuck-edge); font-weight: 600; }
`;
