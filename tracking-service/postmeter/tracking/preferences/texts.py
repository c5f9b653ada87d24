"""The words of the preferences page, in each of its languages.

VERSION names them in the proof of a choice: whoever changes what a text says raises it.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

VERSION = "3"
DEFAULT = "en"


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """Plain text, no markup. name: what the language calls itself. forgotten: said to everybody who chooses, for the
    page tells nobody whether the sender knows whose mail it is.
    """

    name: str
    title: str
    intro: str
    before: str
    opens: str
    opens_hint: str
    clicks: str
    clicks_hint: str
    allow: str
    refuse: str
    save: str
    saved: str
    allowed: str
    refused: str
    forgotten: str
    nothing: str
    languages: str
    broken: str
    broken_hint: str


TEXTS = {
    "en": Texts(
        name="English",
        title="What may be recorded about you",
        intro="Mail from this sender can tell it whether you open it and which links you follow. You decide whether it"
        " may. Whatever you choose, you get the same mail, and all links work.",
        before="If you refuse, that also holds for mail that you already have. You can change your choice here at any"
        " time.",
        opens="When I open mail",
        opens_hint="An invisible image in the mail tells when you open it, and roughly with what program.",
        clicks="When I follow links",
        clicks_hint="Links in the mail lead through a counter, which notes which one you followed and when.",
        allow="may be recorded",
        refuse="may not be recorded",
        save="Save",
        saved="Saved.",
        allowed="recorded from now on",
        refused="no longer recorded",
        forgotten="If the sender no longer knows whose mail this is, for example because your data was erased, no"
        " choice is kept either.",
        nothing="Nothing was saved: please choose at least one of the two.",
        languages="Languages",
        broken="This link does not work",
        broken_hint="It is incomplete or was changed on its way. Please open it again from the original mail.",
    ),
    "de": Texts(
        name="Deutsch",
        title="Was über Sie festgehalten werden darf",
        intro="E-Mails dieses Absenders können ihm verraten, ob Sie sie öffnen und welchen Links Sie folgen. Sie"
        " entscheiden, ob sie das dürfen. Was auch immer Sie wählen: Sie bekommen dieselben E-Mails, und alle Links"
        " funktionieren.",
        before="Lehnen Sie ab, so gilt das auch für E-Mails, die Sie schon haben. Sie können Ihre Wahl hier jederzeit"
        " ändern.",
        opens="Wenn ich E-Mails öffne",
        opens_hint="Ein unsichtbares Bild in der E-Mail verrät, wann Sie sie öffnen und ungefähr mit welchem Programm.",
        clicks="Wenn ich Links folge",
        clicks_hint="Links in der E-Mail führen über einen Zähler, der festhält, welchem Sie wann gefolgt sind.",
        allow="darf festgehalten werden",
        refuse="darf nicht festgehalten werden",
        save="Speichern",
        saved="Gespeichert.",
        allowed="wird von nun an festgehalten",
        refused="wird nicht mehr festgehalten",
        forgotten="Weiß der Absender nicht mehr, wessen E-Mail das ist, etwa weil Ihre Daten gelöscht wurden, so wird"
        " auch keine Wahl aufbewahrt.",
        nothing="Es wurde nichts gespeichert: Bitte wählen Sie wenigstens bei einem von beiden.",
        languages="Sprachen",
        broken="Dieser Link funktioniert nicht",
        broken_hint="Er ist unvollständig oder wurde unterwegs verändert. Bitte öffnen Sie ihn noch einmal aus der"
        " ursprünglichen E-Mail.",
    ),
    "fr": Texts(
        name="Français",
        title="Ce qui peut être enregistré à votre sujet",
        intro="Les e-mails de cet expéditeur peuvent lui indiquer si vous les ouvrez et quels liens vous suivez. C’est"
        " vous qui décidez s’ils le peuvent. Quel que soit votre choix, vous recevez les mêmes e-mails et tous les"
        " liens fonctionnent.",
        before="Un refus vaut aussi pour les e-mails déjà reçus. Vous pouvez modifier votre choix ici à tout moment.",
        opens="Quand j’ouvre un e-mail",
        opens_hint="Une image invisible dans l’e-mail indique quand vous l’ouvrez et, à peu près, avec quel programme.",
        clicks="Quand je suis un lien",
        clicks_hint="Les liens de l’e-mail passent par un compteur, qui note lequel vous avez suivi et quand.",
        allow="peut être enregistré",
        refuse="ne peut pas être enregistré",
        save="Enregistrer mon choix",
        saved="Votre choix est enregistré.",
        allowed="sera enregistré désormais",
        refused="ne sera plus enregistré",
        forgotten="Si l’expéditeur ne sait plus à qui cet e-mail était adressé, par exemple parce que vos données ont"
        " été effacées, aucun choix n’est conservé non plus.",
        nothing="Rien n’a été modifié : veuillez choisir pour l’un des deux au moins.",
        languages="Langues",
        broken="Ce lien ne fonctionne pas",
        broken_hint="Il est incomplet ou a été modifié en chemin. Veuillez l’ouvrir à nouveau depuis l’e-mail"
        " d’origine.",
    ),
    "it": Texts(
        name="Italiano",
        title="Che cosa può essere registrato su di lei",
        intro="Le e-mail di questo mittente possono dirgli se le apre e quali link segue. È lei a decidere se possono"
        " farlo. Qualunque cosa scelga, riceve le stesse e-mail e tutti i link funzionano.",
        before="Un rifiuto vale anche per le e-mail già ricevute. Può cambiare la sua scelta qui in qualsiasi momento.",
        opens="Quando apro un’e-mail",
        opens_hint="Un’immagine invisibile nell’e-mail dice quando la apre e, all’incirca, con quale programma.",
        clicks="Quando seguo un link",
        clicks_hint="I link nell’e-mail passano per un contatore, che annota quale ha seguito e quando.",
        allow="può essere registrato",
        refuse="non può essere registrato",
        save="Salva",
        saved="Salvato.",
        allowed="d’ora in poi viene registrato",
        refused="non viene più registrato",
        forgotten="Se il mittente non sa più di chi è questa e-mail, per esempio perché i dati su di lei sono stati"
        " cancellati, non viene conservata nemmeno una scelta.",
        nothing="Non è stato salvato nulla: scelga almeno per una delle due cose.",
        languages="Lingue",
        broken="Questo link non funziona",
        broken_hint="È incompleto o è stato modificato lungo il percorso. Lo apra di nuovo dall’e-mail originale.",
    ),
    "es": Texts(
        name="Español",
        title="Qué se puede registrar sobre usted",
        intro="Los correos de este remitente pueden decirle si usted los abre y qué enlaces sigue. Usted decide si"
        " pueden hacerlo. Elija lo que elija, recibirá los mismos correos y todos los enlaces funcionarán.",
        before="Si se niega, vale también para los correos que ya tiene. Puede cambiar su elección aquí en cualquier"
        " momento.",
        opens="Cuando abro un correo",
        opens_hint="Una imagen invisible en el correo indica cuándo lo abre y, más o menos, con qué programa.",
        clicks="Cuando sigo un enlace",
        clicks_hint="Los enlaces del correo pasan por un contador, que anota cuál ha seguido y cuándo.",
        allow="se puede registrar",
        refuse="no se puede registrar",
        save="Guardar",
        saved="Guardado.",
        allowed="se registra a partir de ahora",
        refused="ya no se registra",
        forgotten="Si el remitente ya no sabe de quién es este correo, por ejemplo porque se borraron los datos de"
        " usted, tampoco se guarda ninguna elección.",
        nothing="No se ha guardado nada: elija al menos una de las dos cosas.",
        languages="Idiomas",
        broken="Este enlace no funciona",
        broken_hint="Está incompleto o se modificó por el camino. Ábralo de nuevo desde el correo original.",
    ),
}


_MOST = 20
"""Languages of a header that are looked at."""


def wanted_language(header: str, known: Collection[str], default: str) -> str:
    """The first of the known languages by Accept-Language (RFC 9110, 12.5.4), the most wanted first."""
    offers: list[tuple[float, int, str]] = []
    for place, part in enumerate(header.split(",")[:_MOST]):
        name, *parameters = part.strip().lower().split(";")
        language = name.strip().partition("-")[0]
        if language in known and (quality := _quality(parameters)) > 0:
            offers.append((-quality, place, language))
    return min(offers)[2] if offers else default


def _quality(parameters: list[str]) -> float:
    for one in parameters:
        name, _, value = one.strip().partition("=")
        if name == "q":
            return float(value) if len(value) <= 5 and value.replace(".", "", 1).isdigit() and value.isascii() else 0.0
    return 1.0
