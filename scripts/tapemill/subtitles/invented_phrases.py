"""Phrases that speech models learned from other people's subtitles and write where nobody speaks.

They are a prior, no proof: `hallucination_filter` weighs them against what was heard. Collected from public reports
about Whisper and from its output on noise.
"""

from __future__ import annotations

import re

# Nobody says these at home: names of subtitle makers, broadcasters with a year, addresses.
CREDITS = (
    r".*\bamara\s?\.?\s?org\b.*",
    r".*\b(opensubtitles|svensktextning|titlovi|subscene|addic7ed|castingwords|soustitreur|zeoranger|otter\.ai)\b.*",
    r".*(dimatorzok|steamteamextra|ai-media|johnyx|索兰娅|nancy ajram).*",
    r"https?://.*|(?:www\.)[\w.-]+|[\w-]+\.(com|org|net|tv|nu)",
    r"(sub|cc |closed )?(titles?|captions?|captioning|captioned|transcri(pt|ption|bed))( (created|made|provided"
    r"|translated))?"
    r"( by| from|:) (the )?(?-i:[A-Z]).{0,40}",
    r"(transcription|translation|translated|subtitled) by (?-i:[A-Z]).{0,40}",
    r"(copyright|©) .{0,40}|.{0,20}all rights reserved.{0,20}",
    r"untertitel(ung)?( (im auftrag|(?-i:der|des) (?-i:[A-Z])|von (?-i:[A-Z])|und)|:).{0,60}",
    r"(swr|wdr|ndr|mdr|br|hr|zdf|ard|orf|srf|funk|rbb|arte)( (des|der|für|und) .{0,30})?,? ?(19|20)\d\d",
    r"copyright (wdr|swr).*",
    r"sous-?titr(age|ages|es?|é)\b.{0,60}",
    r"subt[ií]tulos?( (por|realizados|de|creados|hechos)|:).{0,60}",
    r"legendas? (pela|pelo) .{0,40}|(legendas?|tradução|revisão)( (por|de|feitas?)|:)? ?(?-i:[A-ZÁÉÍÓÚ]).{0,50}",
    r"sottotitoli( (creati|e revisione|a cura|di|by)|:).{0,60}",
    r"(ondertitel(ing|s|d)?|ondertiteld)( (door|by|ingediend)|:).{0,60}|tv gelderland( \d{4})?",
    r"(undertekster|undertexter|teksting|textning|tekstet|textat|tekster)( (av|af|från|fra|ved|by)"
    r" (?-i:[A-ZÅÄÆÖØ])|:).{0,60}",
    r"(tekstitys|suomennos|tekstit)(:| (?-i:[A-ZÄÖ])).{0,40}",
    r"(napisy|tłumaczenie|tekst)( (stworzone|by|od|przez)|:).{0,60}|zdjęcia i montaż",
    r"(titulky|titulkoval|preklad|překlad|titlovi|podnapisi|prijevod)"
    r"(:| vytvořil| vytvoril| (?-i:[A-ZÁČĎÉĚÍŇÓŘŠŤÚŽ])).{0,50}",
    r"(felirat(ok)?|fordította|magyar szöveg)(:| (?-i:[A-ZÁÉÍÓÖŐÚÜŰ])).{0,50}",
    r"(subtitrarea|subtitrare|subtitrat|traducerea)(:| de | și |$).{0,50}",
    r"(altyazı|çeviri|seslendiren)(:| (?-i:[A-ZÇĞİÖŞÜ])).{0,50}",
    r"(субтитры|субтитри|редактор( субтитров)?|корректор|переклад|превод|перевод( субтитров)?)"
    r"(:| (создавал|создал|сделал|делал|подогнал|подготовил|добавил|предоставил|створив|від|от|на)\b|"
    r" (?-i:[А-ЯA-Z])).{0,60}",
    r"(υπότιτλοι|μετάφραση|απόδοση( διαλόγων)?)(:| (?-i:[Α-ΩA-Z])).{0,50}",
    r"(תרגום|כתוביות)( על ידי|:).{0,50}",
    r"(ترجمة|زیرنویس)( نانسي قنقر| از|:).{0,50}|نانسي قنقر",
    r"(phụ đề|vietsub|biên dịch)( được thực hiện| bởi| by|:).{0,50}",
    r"(sari kata|teks|alih bahasa|subtitle)( oleh|:).{0,50}",
    r"(คำบรรยาย|ซับไทย|แปล)โดย.{0,40}",
    r"(中文)?(字幕|翻譯|翻译|校對|校对|聽打|听打)( ?by|志愿者|志願者|由|提供|製作|制作|組|组|:|：).{0,40}",
    r"优优独播剧场.*|.*yoyo television series exclusive.*|.*明[镜鏡](与|與|需要).*|.*点点栏目.*",
    r"(字幕|翻訳)( ?by|:|：|は|制作|作成).{0,40}",
    r"(한글 ?)?자막( ?by|:| 제공| 제작).{0,40}|(mbc|kbs|sbs|ytn|jtbc) ?뉴스.{0,20}",
)

# People say these too, at the end of a party or to guests.
COURTESIES = (
    r"(thanks|thank you)( so much| very much| all| everyone| guys)*( for (watching|listening|viewing|your"
    r" attention|your time)"
    r"( (this|the|my|our) (video|videos|channel))?)?( and .{0,40})?",
    r"(please )?(don't forget to )?(like,? (comment,? )?(and|&) )?(subscribe|share)( to (my|our|the|this)"
    r" channel)?( and .{0,40})?",
    r"(i'?ll |we'?ll )?see you( all| guys)?( (in the )?next (time|video|week|one)| later| soon)",
    r"(good ?bye|bye[ -]?bye|bye|you|so|oh|okay|ok|hmm|yeah|the end|amen|to be continued|music|applause|laughter)",
    r"(vielen|herzlichen|besten)? ?dank(e)?( schön| sehr)?( (fürs?|für'?s|für (die|das|ihre|eure|deine)) ?"
    r"(zuschauen|zusehen|zuhören|aufmerksamkeit|interesse|einschalten))?",
    r"bis (zum|zur|dann|bald|nächste).{0,25}|abonniert .{0,30}|tschüss|das war'?s( für heute)?",
    r"merci( beaucoup)?( d'avoir (regardé|visionné|écouté)| pour votre (attention|écoute)).{0,40}"
    r"|abonnez-vous.{0,40}|"
    r"à (bientôt|la prochaine)|merci( beaucoup)?|au revoir",
    r"(muchas )?gracias( por (ver|mirar|escuchar|su atención|su visita).{0,40})?|¡?suscr[ií]b(e|a|i)(te|se|ros"
    r"|rse).{0,40}|"
    r"hasta (luego|la próxima|pronto)",
    r"(muito )?obrigad[oa]s?( (por|pela|pelo) (assistir|ver|assistirem|atenção|audiência).{0,40})?|"
    r"inscrev[ae](-se|m-se).{0,40}|até (logo|a próxima|o próximo vídeo)|(e )?tchau",
    r"grazie( mille)?( (per|a tutti per) (la visione|aver guardato|l'attenzione|averci seguito|l'ascolto).{0,40})?|"
    r"iscriv(iti|etevi).{0,40}|alla prossima|ciao",
    r"(hartelijk )?(bedankt|dank (u|je) wel)( voor (het|uw|je|jullie) (kijken|luisteren|aandacht).{0,20})?"
    r"|abonneer .{0,30}|"
    r"tot (de volgende keer|ziens)",
    r"tack( så mycket)?( för att (ni|du) (har )?(tittat|tittade|lyssnade?).{0,30})?|prenumerera.{0,30}|hej då",
    r"takk?( (fordi|for at|for) (du|i|dere|meg|med) .{0,20})?|abonn[eé]r.{0,30}|på gensyn|ha det( bra)?",
    r"kiitos( (kun|että) (katsoit|katsoitte)| katsomisesta)?.{0,10}|tilaa kanava.{0,20}",
    r"(dziękuję|dziękujemy|dzięki)( bardzo)?( za (uwagę|oglądanie|obejrzenie|wysłuchanie))?.{0,20}|"
    r"(zasubskrybuj|subskrybuj).{0,30}|do (zobaczenia|następnego razu)",
    r"(děkuji|děkujeme|ďakujem|ďakujeme)( vám)?( za (pozornost|pozornosť|sledování|sledovanie|shlédnutí"
    r"|zhlédnutí))?.{0,20}|"
    r"odebírejte.{0,30}|na shledanou",
    r"köszön(öm|jük)( szépen)?,?( hogy (megnézt|velünk).{0,20}| a figyelm.{0,10})?.{0,10}|iratkozz.{0,30}"
    r"|viszontlátásra",
    r"(vă )?mulțum(esc|im)( (pentru|că).{0,30})?|abon(ați|ează)-.{0,30}|la revedere|să vă mulțumim.{0,30}",
    r"(izlediğiniz|dinlediğiniz|seyrettiğiniz) için (çok )?teşekkür(ler| ederi[mz])|teşekkür(ler| ederi[mz])|"
    r"(kanal[ıi]m[ıi]za |kanala )?abone ol.{0,30}|görüşmek üzere|hoşça kal(ın)?",
    r"(большое )?спасибо( большое)?( (за (просмотр|внимание|подписку|то).{0,20}|что смотрели.{0,20}))?|"
    r"подпи(сывайтесь|шись|шитесь).{0,40}|продолжение следует|до (свидания|новых встреч|встречи)|ставьте лайк.{0,30}|"
    r"всем пока|пока",
    r"(дякую|дякуємо)( за (перегляд|увагу).{0,20})?|підпи(суйтесь|шіться).{0,40}|до побачення",
    r"(благодаря|благодарим)( ви)?( за (гледането|вниманието).{0,20})?|абонирайте се.{0,30}|"
    r"(хвала|hvala)( (vam|што сте|što ste|na|za) .{0,25})?",
    r"(σας )?ευχαριστ(ώ|ούμε)( (που|για) .{0,30})?|εγγραφείτε.{0,40}|γεια σας",
    r"תודה( רבה)?( (על הצפייה|שצפיתם).{0,20})?|הירשמו.{0,30}|להתראות",
    r"(شكرا|شكراً)( (لكم|جزيلا))?( (على|لمشاهدتكم|للمشاهدة).{0,30})?|اشتركوا? (في|بال).{0,30}|لا تنسوا"
    r" الاشتراك.{0,30}|"
    r"إلى اللقاء",
    r"(ممنون|متشکرم|با تشکر)( (که|از) .{0,30})?|سابسکرایب.{0,30}",
    r"देखने के लिए धन्यवाद|धन्यवाद|(चैनल को )?सब्सक्राइब.{0,30}|शुक्रिया",
    r"(xin )?(cảm|cám) ơn( (các bạn|quý vị|mọi người))?( đã (xem|theo dõi|lắng nghe).{0,30})?|"
    r"(hãy |các bạn )?(đăng ký|subscribe)( cho)? .{0,40}|hẹn gặp lại.{0,40}",
    r"terima kasih( (telah|kerana|karena|sudah|atas) .{0,30})?|jangan lupa.{0,40}|sampai jumpa.{0,30}",
    r"ขอบคุณ(ที่|สำหรับ)?(การ)?(รับชม|ติดตาม).{0,20}|ขอบคุณ(ครับ|ค่ะ)?|(อย่าลืม)?กดติดตาม.{0,30}|สวัสดี(ครับ|ค่ะ)?",
    r"(謝謝|谢谢|感謝|感谢)(大家|你們|你们|您)?的?(觀看|观看|收看|收聽|收听|支持)?|(请|請)不吝.{0,40}|"
    r"(请|請)?(订阅|訂閱|点赞|點贊).{0,30}|(下次|下期|我们|我們)?(再见|再見)",
    r"(最後まで|本日も)?ご?(視聴|清聴|覧)?(いただき|頂き|くださり)?、?(誠に|本当に)?ありがとうございま(した|す)|"
    r"チャンネル登録.{0,40}|(また)?次(回|の動画).{0,20}|おやすみなさい|バイバイ|それではまた.{0,10}|では、また.{0,10}",
    r"(끝까지 )?시청해? ?(주셔서|해주셔서)? ?감사(합니다|드립니다)|구독(과|,)? ?좋아요.{0,30}|감사합니다|"
    r"다음 (영상|시간|주).{0,20}|안녕히 계세요",
)


def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


_CREDITS, _COURTESIES = _matcher(CREDITS), _matcher(COURTESIES)
# Around the phrase: brackets, notes, quotation marks and the ends of sentences.
_AROUND = " \t\n.,!?…。！？、，؟।·*[](){}<>«»„“”\"'‘’♪♫♥❤️-–—"


def is_credit(text: str) -> bool:
    """Return whether the text is nothing but credits of other subtitles."""
    return bool(_CREDITS.fullmatch(text.strip(_AROUND)))


def is_courtesy(text: str) -> bool:
    """Return whether the text is nothing but a phrase that ends videos."""
    return bool(_COURTESIES.fullmatch(text.strip(_AROUND)))
