/** A page of ordinary text in each of six languages: everyday words, names, numbers, quotations, prices and signs. */
export const PAGES: Readonly<Record<string, string>> = {
  English: `The class met at half past nine in the old library, because the assembly hall was being painted. Dickens was on the list again, and
so was a passage about a cocktail party in Scunthorpe that nobody could explain. "It's a test of patience," said our teacher, "not of
analysis." We assessed the first act, discussed the title page and counted how often the word glass appears (17 times, if you include the
glossary). At lunch we bought four rolls for £3.20, shared a bag of crisps & some grapes, and walked along the river Thames. The canal was
frozen, the ducks were cross, and the shuttlecock from last week was still stuck in the hedge. Hello everyone, the notice on the gate read,
please keep dogs on a lead! Later that evening I wrote to my aunt in Essex: the mass at St Peter's begins at 6 p.m., bring a torch, and
tell Mr. Hancock that his saxophone is ready. He can e-mail me at j.smith@example.com or call +44 20 7946 0018. Passengers for Penistone
change at the next station; the 8:15 is late (again). C++ and C# are on the timetable for Thursday, R&D has cake, and the answer to
question 5 is x = 3 * (y - 1). Nothing else happened, except that the cat sat on the manuscript and fell asleep.`,

  German: `Am Samstag fuhren wir mit dem Bus um 7:45 Uhr nach Assmannshausen, weil die Bahnstrecke wieder einmal gesperrt war. Meine
Schwester hatte belegte Brote, zwei Thermoskannen und einen Wetterbericht dabei, der "heiter bis wolkig" versprach. Tatsächlich regnete
es den ganzen Vormittag. Wir setzten uns in eine kleine Gaststätte, bestellten Suppe für 5,80 € und spielten Karten, bis der Himmel
über dem Rhein endlich aufriss. Der Wirt erzählte von der großen Überschwemmung, von seinem Großvater und von einem Ausschuss, der seit
elf Jahren über die neue Straße berät. "Das wird nichts mehr", meinte er und schüttelte den Kopf. Danach stiegen wir zur Burg hinauf,
zählten 213 Stufen, fotografierten Weinberge & Wolken und kauften ein Glas Honig. Auf dem Rückweg verpassten wir den Anschluss; der
nächste Zug kam erst eine Stunde später. Zu Hause schrieb ich meinen Eltern: Uns geht es gut, die Tassen sind heil geblieben, der
Termin beim Zahnarzt ist am 13. Mai, und bitte gießt die Pflanzen! Die Telefonnummer steht auf dem Zettel (030 / 901820), die Adresse
lautet max.muster@example.org. Morgen lernen wir Mathematik, und übermorgen hilft uns Herr Kassner mit dem Fahrrad.`,

  French: `Le dimanche matin, le marché s'installe sur la place, devant l'église et la petite bibliothèque. On y trouve des poires, du
fromage de chèvre, des fleurs coupées et, parfois, un accordéoniste qui connaît trois airs. Ma grand-mère arrive toujours avant neuf
heures, « parce qu'après, il ne reste rien ». Elle compare les prix, discute du temps, demande des nouvelles de chacun et finit par
acheter les mêmes tomates que la semaine dernière, à 2,40 € le kilo. Pendant ce temps, je lis le journal à la terrasse du café : une
grève à la gare, un nouveau pont sur la Loire, l'analyse d'un match perdu 3 à 1. Vers midi, nous rentrons par le canal. Les péniches
passent lentement, les enfants comptent les écluses, et le facteur nous salue depuis son vélo. L'après-midi, nous avons classé de
vieilles photographies : Assas en 1962, un passeport, des vacances en Bretagne, une voiture aujourd'hui disparue. « Garde-les bien »,
a-t-elle dit. Le soir, j'ai envoyé un message à mes cousins (voir pierre.martin@example.fr) : la fête commence à 19 h 30, apportez des
assiettes & des chaises, et surtout n'oubliez pas le chien ! Demain il fera beau, paraît-il ; nous irons peut-être à la mer.`,

  Spanish: `El tren salió de Zaragoza con veinte minutos de retraso, así que llegamos a Teruel cuando ya anochecía. La pensión estaba
cerca de la plaza, en una calle estrecha con faroles amarillos y gatos muy serios. La dueña nos preparó una tortilla, pan con tomate y
una jarra de agua fría; «mañana les enseño las torres», prometió. Por la mañana paseamos por el mercado, compramos aceitunas, queso y
un sombrero de paja por 12,50 €, y preguntamos tres veces por el museo. ¿Está lejos? ¡Qué va, a la vuelta de la esquina! Dentro había
mapas antiguos, cerámica, un reloj parado a las 4:10 y la historia de dos amantes que todo el mundo conoce. Después subimos al
acueducto, hicimos fotografías & anotamos los nombres de las montañas. Mi hermana leyó en voz alta un capítulo sobre los romanos,
mientras yo dibujaba las casas colgadas del barranco. Por la tarde llovió, de modo que jugamos al ajedrez, analizamos la última
partida y escribimos postales a los abuelos: estamos bien, comemos mucho, la clase de piano será el lunes 9 a las 17:00. Si hace falta,
llamad al 978 60 22 11 o escribid a lucia.gomez@example.es. Al volver, el revisor nos contó que el año pasado nevó en mayo.`,

  Russian: `В субботу утром мы поехали за город, потому что обещали солнце и лёгкий ветер. Электричка отправилась в 8:20, в вагоне было
тепло, и почти все читали или спали. Бабушка взяла с собой корзину, термос с чаем и пирожки с капустой, а дедушка — старую карту, на
которой наша деревня ещё называется иначе. От станции шли пешком: сначала через поле, потом вдоль реки, где рыбаки спорили о погоде.
«Как вы думаете, будет дождь?» — спросил один из них. «Вряд ли», — ответил другой и закинул удочку. Дома мы растопили печь, открыли
окна, полили огурцы и поставили самовар. Соседка принесла кот знает сколько яблок и рассказала, что новый мост откроют в мае, а магазин
закрыли на ремонт. После обеда я чинил забор, сестра рисовала сосну, а папа искал рецепт варенья: 2 кг ягод, 1,5 кг сахара и сок одного
лимона. Вечером играли в шахматы, считали звёзды и слушали, как ухает сова. Перед сном написали друзьям: у нас всё хорошо, приезжайте в
гости, билет стоит 140 рублей (туда & обратно), адрес прежний — ivan.petrov@example.ru. В понедельник снова на работу, но это будет
только послезавтра!`,

  Chinese: `星期六早上，我们一家人坐地铁去了北京植物园。天气很好，天上没有一朵云，门口已经排起了长队。门票每张十块钱，学生半价，老人免费。
妈妈带了三明治和水果，爸爸背着相机，弟弟一路上都在数公共汽车。我们先看了温室里的兰花，又去湖边喂鱼，然后在大树下面休息了半个小时。
一位老爷爷正在练书法，他用清水在地上写字，写完不久就干了。弟弟问他为什么不用墨，他笑着说：“这样才可以天天写新的。”中午我们在餐厅吃了
面条和饺子，味道不错，一共花了九十六元。下午去图书馆还书，顺便借了两本小说和一本介绍海洋的杂志。回家的路上下起了小雨，大家都没带伞，
只好跑着去车站（大约五百米）。晚上奶奶打电话来，问我们什么时候回老家过年，我告诉她车票已经买好了，是一月二十号下午三点的火车。
睡觉以前我写了一封邮件给同学（地址是 li.ming@example.cn），告诉他星期一的数学课改在 203 教室，别忘了带作业本和尺子！明天如果不下雨，
我们还想去看望住在郊区的舅舅，听说他家的苹果熟了。`,
};
