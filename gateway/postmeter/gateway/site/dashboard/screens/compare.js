/** Compare: is it really better? Campaigns side by side, each rate with its interval, and how sure a difference is. */

import { html, useEffect } from "../htm/standalone.module.js";
import { go, here, useAddress } from "../address.js";
import { useAnswer } from "../answers.js";
import { latestFirst, useCampaigns } from "../model/campaigns.js";
import { LEAST, MOST, RATES, areUnlike, compared, proposed, seenOfThem, young } from "../model/comparison.js";
import { ago, day } from "../model/times.js";
import { Heading } from "../parts/heading.js";
import { firstMessage } from "../parts/nothing.js";
import { Panel } from "../parts/panel.js";
import { ComparedRate } from "../parts/rates.js";
import { Hidden } from "../parts/seen.js";
import { Answered, Empty, Missing } from "../parts/states.js";
import { apart, t } from "../texts.js";

/** A campaign's name with the day of its sending: names are used again. */
function titleOf(campaign, zone) {
  return campaign.sent_at ? `${apart(campaign.name)} · ${day(Date.parse(campaign.sent_at), zone)}` : campaign.name;
}

function Adding({ ids, list, view }) {
  if (ids.length >= MOST) return html`<span class="soft">${t("compare.most", { n: MOST })}</span>`;
  const rest = latestFirst(list.filter((one) => !ids.includes(one.id)));
  const add = (event) => {
    event.preventDefault();
    go(here({ campaign: [...ids, new FormData(event.target).get("more")] }));
    event.target.reset();
  };
  return html`<form class="group" onSubmit=${add}><label class="choice"><span>${t("compare.add")}</span><select
    name="more" required><option value="">${t("compare.choose")}</option>
    ${rest.map((one) => html`<option key=${one.id} value=${one.id}>${titleOf(one, view.zone)}</option>`)}
  </select></label><button>${t("control.add")}</button></form>`;
}

function Chosen({ ids, chosen, list, view }) {
  // What is taken away cannot keep the focus.
  const toRest = (event) => event.currentTarget.closest(".controls").focus();
  const campaign = (one) => {
    const name = titleOf(one, view.zone);
    return html`<a key=${one.id} class="filter" href=${here({ campaign: ids.filter((id) => id !== one.id) })} onClick=${toRest}
      aria-label=${t("compare.remove", { name })}>${name} <span aria-hidden="true">×</span></a>`;
  };
  return html`<div class="controls inner" tabindex="-1">
    <div class="group filters" role="group" aria-label=${t("compare.chosen")}>${chosen.map(campaign)}</div>
    <${Adding} ids=${ids} list=${list} view=${view} /></div>`;
}

/** The answer as the rows of a file. */
function fileOf({ comparison }) {
  const row = ({ campaign_id, campaign_name, metrics, intervals }, metric) => ({
    campaign_id,
    campaign_name,
    metric,
    rate: metrics[metric],
    ...intervals[metric],
  });
  return comparison.flatMap((one) => RATES.map((metric) => row(one, metric)));
}

/** Which opens of which campaign the rates leave out. */
function Unseen({ rows, chosen }) {
  const of = ({ campaign }) => chosen.find(({ id }) => id === campaign)?.name ?? campaign;
  return html`${rows.map((row) => html`<${Hidden} key=${row.campaign} counts=${row} name=${of(row)} />`)}
    ${areUnlike(rows) && html`<p>${t("seen.unlike")}</p>`}`;
}

function Comparison({ request, answer, chosen, view }) {
  const seen = seenOfThem(
    chosen.map(({ id }) => id),
    chosen,
  );
  const rows = useAnswer(seen).value?.data ?? [];
  const still = ({ id, name, sent_at: at }) => html`<p key=${id} class="note">
    ${t("compare.young", { name, ago: ago(Date.parse(at), view.zone) })}</p>`;
  const rate = (metric, data) => html`<${ComparedRate} key=${metric} metric=${metric} data=${data} chosen=${chosen}
    view=${view} />`;
  return html`<${Panel} title=${t("compare.title")} note=${t("compare.what")} requests=${[request, seen]}
      rows=${() => fileOf(answer.value.data)} name="comparison">
    ${young(chosen).map(still)}
    <${Answered} answer=${answer} lines=${30}>${({ data }) => html`<${Unseen} rows=${rows} chosen=${chosen} />
      ${RATES.map((metric) => rate(metric, data))}`}</${Answered}>
  </${Panel}>`;
}

/** Puts campaigns into the address where none are; null: there are some, or none that could be. */
function useProposal(list, ids) {
  const found = list && ids.length === 0 ? proposed(list) : [];
  const proposal = found.length >= LEAST ? found : null;
  useEffect(() => {
    if (proposal) go(here({ campaign: proposal }), { replace: true });
  }, [proposal?.join("\n")]);
  return proposal;
}

/** The screen. */
export default function Compare({ view, session }) {
  const [, params] = useAddress();
  const { list, error } = useCampaigns();
  const ids = [...new Set(params.getAll("campaign"))].slice(0, MOST);
  const proposal = useProposal(list, ids);
  const chosen = ids.map((id) => list?.find((one) => one.id === id) ?? { id, name: id });
  const request = list && ids.length >= LEAST ? compared(session.workspace, ids, chosen) : null;
  const answer = useAnswer(request);
  if (!list || proposal) return html`<${Missing} error=${error} lines=${24} />`;
  const title = html`<${Heading} name=${t("screen.compare")} about=${t("compare.question")} at=${answer.at} />`;
  if (list.length < LEAST) {
    return html`${title}<${Empty} title=${t("compare.few")} what=${t("compare.few.do")} command=${firstMessage()} />`;
  }
  return html`${title}<${Chosen} ids=${ids} chosen=${chosen} list=${list} view=${view} />
    ${
      request
        ? html`<${Comparison} request=${request} answer=${answer} chosen=${chosen} view=${view} />`
        : html`<${Empty} title=${t("compare.more")} what=${t("compare.more.do")} />`
    }`;
}
