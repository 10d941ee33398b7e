/** How the report looks. */
import { CHART_STYLE } from "../svg-chart.ts";

/** The page's style sheet. */
export const REPORT_STYLE: string = `${CHART_STYLE}
:root{--panel:#f5f6f8;--bad:#a8231b;--good:#1b6e42;--note:#fdf1d8}
@media (prefers-color-scheme:dark){:root{--panel:#1e242b;--bad:#ff9a90;--good:#68d39b;--note:#3a2f17}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:15px/1.45 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:16px 16px 64px}
h1{font-size:1.35rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:36px 0 4px}h3{font-size:1rem;margin:20px 0 4px}
p{margin:4px 0 12px}.kind,main>p{color:var(--soft)}.kind{margin:0}
.overall{font-size:1.1rem;margin:8px 0}.overall strong{font-size:2rem}
.warning,main>p.warning{background:var(--note);color:var(--text);border-left:4px solid var(--c4);padding:8px 12px;border-radius:4px;overflow-wrap:anywhere}
nav ul{display:flex;flex-wrap:wrap;gap:4px 18px;list-style:none;padding:0}a{color:var(--c0)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(170px,46%),1fr));gap:10px 18px;margin:12px 0}
dl.wider{grid-template-columns:repeat(auto-fill,minmax(min(330px,100%),1fr))}
dt{color:var(--soft);font-size:.82rem}dd{margin:0;overflow-wrap:anywhere}
.wide{overflow:auto;max-width:100%}.tall{max-height:85vh;border:1px solid var(--line);border-radius:4px}
table{border-collapse:separate;border-spacing:0}
th,td{padding:5px 14px 5px 6px;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums;white-space:nowrap}
tbody th{font-weight:600;white-space:normal;overflow-wrap:anywhere;min-width:11.5rem;max-width:16rem}
td.words{white-space:normal;min-width:13rem;color:var(--soft);font-size:.85rem}
td small{display:block;color:var(--soft);font-size:.78rem}
td[data-value],th:has(button[data-sort=number]){text-align:right;padding-left:10px;padding-right:14px}
tr.own th,tr.own td{background:var(--panel)}
thead th{position:sticky;top:0;z-index:2;background:var(--back);color:var(--soft);font-size:.82rem;vertical-align:bottom}
.tall tbody th{position:sticky;left:0;z-index:1;background:var(--back)}.tall thead th:first-child{left:0;z-index:3}
thead button{font:inherit;color:inherit;background:none;border:0;padding:2px 0;cursor:pointer;text-align:left;white-space:nowrap}
thead button::after{content:" \\2195"/"";opacity:.45}
th[aria-sort=ascending] button::after{content:" \\2191"/"";opacity:1}th[aria-sort=descending] button::after{content:" \\2193"/"";opacity:1}
td.odd{background:var(--note);font-weight:600}
svg text.name{fill:var(--text);font-size:12px}svg text.few{font-size:9px}
.charts{margin:12px 0;align-items:start}.charts.small{grid-template-columns:repeat(auto-fill,minmax(215px,1fr))}.charts>div{min-width:0}
@media (min-width:780px){.charts>div{grid-column:span 2}}
.small figcaption{overflow-wrap:anywhere;font-size:.9rem}
form{display:flex;flex-wrap:wrap;gap:10px 18px;align-items:end;margin:12px 0}
form label{display:grid;grid-template-columns:minmax(0,1fr);gap:2px;font-size:.85rem;color:var(--soft);min-width:0;max-width:100%}
select,input[type=search],#more{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--line);border-radius:4px;padding:6px 8px;max-width:100%}
fieldset{border:0;padding:0;margin:0;display:flex;flex-wrap:wrap;gap:4px 14px}fieldset label{display:flex;gap:5px;align-items:center;padding:6px 0}legend{font-size:.85rem;color:var(--soft);padding:0}
#more{cursor:pointer;margin-top:12px}
summary{cursor:pointer}.query{border-top:1px solid var(--line);padding:8px 0}
.query>summary{display:flex;gap:10px;align-items:baseline}.query>summary::before{content:"\\25B8";color:var(--soft)}.query[open]>summary::before{content:"\\25BE"}
.query>summary::-webkit-details-marker{display:none}
.mark{flex:none;min-width:5.2em;font-weight:600}.right{color:var(--good)}.wrong{color:var(--bad)}
.excerpt{flex:1;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.query[open] .excerpt{color:var(--soft)}
.flag{flex:none;font-size:.78rem;border:1px solid var(--c1);color:var(--c1);border-radius:4px;padding:0 5px}
.body{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1.3fr);gap:8px 28px;padding:10px 0 10px 18px}
.body h3{margin:0 0 2px;font-size:.85rem;color:var(--soft)}.body section{margin-bottom:14px}.about{position:sticky;top:8px;align-self:start}.place{font-size:.82rem;color:var(--soft);overflow-wrap:anywhere}
.text{white-space:pre-wrap;overflow-wrap:anywhere;margin:0 0 6px}.token{color:var(--soft);font-size:.72rem}.rationale{border-left:3px solid var(--c0);padding-left:10px}
.pictures{display:flex;flex-wrap:wrap;gap:6px;margin:0 0 6px}.pictures img{display:block;max-width:100%;max-height:220px;min-height:24px;border:1px solid var(--line);background:var(--panel)}
.side{display:flex;flex-wrap:wrap;gap:0 14px}.side>.pictures{flex:0 1 auto}.side>.text{flex:1 1 12rem}.candidates img{max-height:96px}.missing{font-size:.8rem;color:var(--bad);overflow-wrap:anywhere}
.candidates{list-style:none;margin:0;padding:0}.candidates li{display:grid;grid-template-columns:8.2em minmax(0,1fr);gap:8px;padding:5px 6px;border-bottom:1px solid var(--line)}
.candidates li.is-right{background:var(--panel);box-shadow:inset 3px 0 var(--good)}
.candidates .score{font-variant-numeric:tabular-nums;color:var(--soft);font-size:.85rem}.candidates b{color:var(--good)}
code,pre{font-size:.88rem}pre{background:var(--panel);padding:10px 12px;border-radius:4px;overflow-x:auto}
:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
@media (max-width:720px){th,td{padding-right:9px}.body{grid-template-columns:minmax(0,1fr);padding-left:0}.about{position:static}.query>summary{flex-wrap:wrap}.excerpt{flex-basis:100%;white-space:normal;display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:2}tbody th{min-width:9.2rem;max-width:9.2rem;font-size:.82rem}.charts.small{grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:14px}.small svg text{font-size:14px}}
`;
