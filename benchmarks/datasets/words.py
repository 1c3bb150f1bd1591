"""The words that every data set is made of: short and common, so that most tokenizers have a token for each."""

import random
import zlib

TEXT = """
about above after again air all also always among and animal another any are around ask away back bad bank base be bed
been before began begin best better big bird black blue boat body book both box boy bring build but by call came can car
care carry case city class clear close cold color come common could country course cut dark day did different do does
dog door down draw drive dry each early earth east easy eat end enough even ever every eye face fact fall family far
farm fast father few field final find fine fire first fish five floor fly follow food for force form found four free
friend from front full game gave get girl give glass go gold good got great green ground group grow had half hand hard
has have he head hear heat heavy help her here high him his hold home horse hot hour house how ice idea if in into is it
just keep kind king knew know land large last late laugh lay lead learn leave left less let letter life light like line
list listen little live long look lost lot love low made main make man many map mark may me mean men might mile mind
money moon more most mother move much music must my name near need never new next night no north not note now number
object of off often oil old on once one only open or order other our out over own page paper part pass people person
place plan plant play point poor possible power press problem pull put question quick rain ran reach read ready real red
remember rest right river road rock room round rule run said same saw say school sea second see seem self sentence serve
set several she ship short should show side simple sing sit six size sleep slow small snow so some song soon sound south
space special stand star start state stay step still stop story street strong study such summer sun sure table take talk
teach tell ten test than that the their them then there these they thing think this those thought three through time to
told too took top town travel tree true try turn two under unit until up us use usual very voice wait walk wall want war
warm was watch water way we week well went were west what wheel when where which while white who why will wind with
without wood word work world would write year yes yet you young your
"""
WORDS = TEXT.split()


def words(draw: random.Random, count: int) -> str:
    """`count` words, separated by spaces: about as many tokens, as text; exactly as many as ids."""
    return " ".join(draw.choices(WORDS, k=count))


def token_ids(text: str) -> list[int]:
    """One id for each word, the same for the same word; between 300 and 999, which nearly every vocabulary has."""
    return [300 + zlib.crc32(word.encode()) % 700 for word in text.split()]
