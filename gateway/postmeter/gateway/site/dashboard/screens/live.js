/** Live: is it alive? Counters once a second, and events as they are counted; a pause button. */

import { html } from "../htm/standalone.module.js";
import { useAddress } from "../address.js";
import { useCampaigns } from "../model/campaigns.js";
import { TYPES, VERDICTS, useLive } from "../model/live.js";
import { CampaignChoice, Choice } from "../parts/choice.js";
import { Counters } from "../parts/counters.js";
import { Stream } from "../parts/stream.js";
import { Failed, Trouble } from "../parts/states.js";
import { t } from "../texts.js";

const STILL = "(prefers-reduced-motion: reduce)";

/** Whether the list stands still: as the address says; else where the reader wants no motion. */
function isPaused(params) {
  const asked = params.get("pause");
  return asked === null ? matchMedia(STILL).matches : asked === "1";
}

function filterOf(params) {
  const known = (name, values) => (values.includes(params.get(name)) ? params.get(name) : "");
  return { type: known("type", TYPES), verdict: known("verdict", VERDICTS), campaigns: params.getAll("campaign") };
}

function Filter({ filter, list }) {
  const any = ["", t("live.any")];
  const types = [any, ...TYPES.map((type) => [type, t(`event.${type}`)])];
  const verdicts = [any, ...VERDICTS.map((verdict) => [verdict, t(`live.verdict.${verdict}`)])];
  return html`<div class="controls inner">
    <${Choice} name="type" label=${t("live.type")} value=${filter.type} options=${types} />
    <${Choice} name="verdict" label=${t("live.verdict")} value=${filter.verdict} options=${verdicts} />
    <${CampaignChoice} label=${t("dimension.campaign")} all=${t("live.any")} chosen=${filter.campaigns[0]}
      list=${list} /></div>`;
}

function Told({ view, title }) {
  const [, params] = useAddress();
  const { list } = useCampaigns();
  const live = useLive();
  const filter = filterOf(params);
  if (live.state.kind === "failed") return html`${title}<${Failed} error=${live.state.error}
    again=${() => location.reload()} />`;
  return html`${title}
    <${Counters} live=${live} view=${view} />
    <${Filter} filter=${filter} list=${list} />
    <${Stream} live=${live} paused=${isPaused(params)} filter=${filter} view=${view} />`;
}

/** The screen. */
export default function Live({ view, session }) {
  const title = html`<div class="title"><div><h1>${t("screen.live")}</h1>
    <p class="soft">${t("live.question")}</p></div></div>`;
  if (session.domains) return html`${title}<${Trouble} title=${t("live.domains")} what=${t("live.domains.do")} />`;
  return html`<${Told} view=${view} title=${title} />`;
}
