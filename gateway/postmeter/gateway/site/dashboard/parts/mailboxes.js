/** Mail by mailbox provider: how much, and what became of it. */

import { html } from "../htm/standalone.module.js";
import { here } from "../address.js";
import { mailboxName, ofProvider } from "../model/mailboxes.js";
import { fractionOf } from "../model/measures.js";
import { t } from "../texts.js";
import { Figure, Whole } from "./figure.js";
import { Panel } from "./panel.js";
import { Answered } from "./states.js";
import { Table } from "./table.js";

/** Providers that are listed; the file has all of them. */
const MOST = 12;

/** A provider's number, which explains itself. */
function Told({ measure, as, row, view }) {
  const { mailbox_provider: provider } = row;
  return html`<${Figure} measure=${measure} as=${as} counts=${row} view=${view} id=${`${measure}.${provider}`}
    request=${ofProvider(view, provider)} />`;
}

/** A column of a rate with what it is of; minor: left out where the page is narrow. */
function rateColumn(measure, view, minor) {
  return {
    key: measure,
    title: t(`measure.${measure}`),
    numeric: true,
    minor,
    cell: (row) =>
      html`<${Told} measure=${measure} as="rate" row=${row} view=${view} />${" "}
        <${Whole} measure=${measure} counts=${row} />`,
    value: (row) => fractionOf(measure, row, view.who),
  };
}

function provider(row) {
  const name = mailboxName(row.mailbox_provider);
  return html`<a href=${here({ mailbox_provider: row.mailbox_provider })}>${name}</a>`;
}

/**
 * @param {object} given
 * @param {object} given.answer whose rows are counts by mailbox provider
 * @param {object} given.request the query that gives them
 * @param {string[]} given.measures those whose rates are shown; all but `opened` are left out where the page is narrow
 * @param {boolean} [given.filters] whether a name leads to what is seen of this provider alone
 */
export function Mailboxes({ answer, view, request, measures, filters = false }) {
  const columns = [
    {
      key: "mailbox_provider",
      title: t("dimension.mailbox_provider"),
      cell: (row) => (filters ? provider(row) : mailboxName(row.mailbox_provider)),
    },
    { key: "sent", title: t("measure.sent"), numeric: true, cell: (row) => html`<${Told} measure="sent" row=${row} view=${view} />` },
    ...measures.map((measure) => rateColumn(measure, view, measure !== "opened")),
  ];
  const title = t("overview.providers");
  return html`<${Panel} title=${title} requests=${[request]} rows=${answer.value?.data} name="mailbox-providers">
    <${Answered} answer=${answer} lines=${12}>${({ data }) => html`<${Table} columns=${columns} rows=${data}
      caption=${title} sort="providers" usual="-sent" most=${MOST} />`}</${Answered}></${Panel}>`;
}
