/** All words of the page, from one file for each language, and how the browser writes numbers and dates. */

/** Languages that there is a file of, each by its own name. */
export const LANGUAGES = { en: "English", de: "Deutsch" };

const PLACE = "postmeter-language";
let texts = {};
let chosen = "en";
let plural = new Intl.PluralRules("en");

/** The language of the page. */
export const language = () => chosen;

function wanted() {
  let own = null;
  try {
    own = localStorage.getItem(PLACE);
  } catch {
    // A browser that keeps nothing: the languages that it asks for count.
  }
  const asked = [own, ...navigator.languages].filter(Boolean).map((name) => name.split("-")[0]);
  return asked.find((name) => Object.hasOwn(LANGUAGES, name)) ?? "en";
}

/** Loads the texts of the language that was chosen here, or else of those that the browser asks for. */
export async function loadTexts() {
  chosen = wanted();
  plural = new Intl.PluralRules(chosen);
  const answer = await fetch(new URL(`./texts/${chosen}.json`, import.meta.url));
  if (!answer.ok) throw new Error("no texts");
  texts = await answer.json();
  document.documentElement.lang = chosen;
}

/** Chooses a language for this browser, and loads the page in it. */
export function chooseLanguage(name) {
  try {
    localStorage.setItem(PLACE, name);
  } catch {
    return;
  }
  location.reload();
}

/** Whether there is such a text. */
export const has = (key) => Object.hasOwn(texts, key);

/** A name of the API in words, by the text below a key; one that there is no text for is called as the API calls it. */
export const wordsOf = (key, name) => (has(`${key}.${name}`) ? t(`${key}.${name}`) : name.replaceAll("_", " "));

function pattern(key, n) {
  const found = texts[key] ?? key;
  return typeof found === "string" ? found : (found[plural.select(n ?? 0)] ?? found.other);
}

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

/** A text from outside within one of ours: what is written from right to left does not pull numbers beside it over. */
export const apart = (text) => (RIGHT_TO_LEFT.test(text) ? `\u2068${text}\u2069` : text);

/** A text; `{name}` stands for a value. Where there are forms for numbers, `n` chooses one. */
export function t(key, values = {}) {
  return pattern(key, values.n).replace(/\{(\w+)\}/g, (_, name) => apart(values[name] ?? ""));
}

/** A text whose values are elements: a list of its parts. */
export function say(key, values) {
  return pattern(key, values.n)
    .split(/(\{\w+\})/)
    .map((part) => (part.startsWith("{") && part.endsWith("}") ? values[part.slice(1, -1)] : part));
}

const made = new Map();

/**
 * A format of Intl, each made once: to make one takes longer than to use it a hundred times.
 * @param {"NumberFormat" | "DateTimeFormat" | "RelativeTimeFormat"} kind
 */
export function formatOf(kind, locale, options) {
  const key = `${kind} ${locale} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new Intl[kind](locale, options));
  return made.get(key);
}
