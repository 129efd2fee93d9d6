/* Who the demo's users are. Everything is derived from a number, so that two fills are alike. */

export type DemoPerson = {
  email: string
  username: string
  first_name: string
  last_name: string
  full_name: string
  phone_number: string | null
  current_title: string | null
  location: string | null
  locale: string
  timezone: string
  /** Days ago */
  registered: number
  /** Days ago; null for never */
  lastLogin: number | null
  logins: number
  emailVerified: boolean
  state: 'active' | 'inactive' | 'deleted'
  premium: boolean
}

type Place = {
  location: string
  locale: string
  timezone: string
  prefix: string
  first: string[]
  last: string[]
}

const places: Place[] = [
  {
    location: 'San Francisco, CA',
    locale: 'en-US',
    timezone: 'America/Los_Angeles',
    prefix: '+1415555',
    first: ['Maya', 'Jordan', 'Ethan', 'Aaliyah', 'Caleb', 'Ruth', 'Dwayne', 'Hannah'],
    last: ['Whitfield', 'Okafor', 'Delgado', 'Marsh', 'Tran', 'Ellison'],
  },
  {
    location: 'Vienna, Austria',
    locale: 'de-AT',
    timezone: 'Europe/Vienna',
    prefix: '+4366055',
    first: ['Anna', 'Lukas', 'Magdalena', 'Jakob', 'Käthe', 'Tobias', 'Sophie', 'Jörg'],
    last: ['Gruber', 'Steinböck', 'Pichler', 'von Arnim-Wallenstein', 'Moser', 'Weiß'],
  },
  {
    location: 'São Paulo, Brazil',
    locale: 'pt-BR',
    timezone: 'America/Sao_Paulo',
    prefix: '+5511955',
    first: ['João', 'Beatriz', 'Thiago', 'Larissa', 'Caetano', 'Inês', 'Rafael', 'Conceição'],
    last: ['da Silva', 'Nascimento', 'Araújo', 'dos Santos Pereira', 'Teixeira', 'Guimarães'],
  },
  {
    location: 'Kyōto, Japan',
    locale: 'ja-JP',
    timezone: 'Asia/Tokyo',
    prefix: '+8190555',
    first: ['春香', '健太', 'さくら', '大輔', '美咲', '翔', '由美子', '拓也'],
    last: ['佐藤', '鈴木', '高橋', '渡辺', '小林', '中村'],
  },
  {
    location: 'Lagos, Nigeria',
    locale: 'en-NG',
    timezone: 'Africa/Lagos',
    prefix: '+2348055',
    first: ['Chidinma', 'Babatunde', 'Ngozi', 'Emeka', 'Funmilayo', 'Ifeanyi', 'Amara', 'Segun'],
    last: ['Adeyemi', 'Okonkwo', 'Balogun', 'Eze', 'Abubakar', 'Nwachukwu'],
  },
  {
    location: 'Tel Aviv, Israel',
    locale: 'he-IL',
    timezone: 'Asia/Jerusalem',
    prefix: '+9725455',
    first: ['נועה', 'איתי', 'תמר', 'יונתן', 'שירה', 'עומר', 'מאיה', 'דניאל'],
    last: ['כהן', 'לוי', 'מזרחי', 'פרץ', 'ביטון', 'אברהם'],
  },
  {
    location: 'Bengaluru, India',
    locale: 'en-IN',
    timezone: 'Asia/Kolkata',
    prefix: '+9198855',
    first: ['Ananya', 'Rohan', 'Lakshmi', 'Arjun', 'Meera', 'Vikram', 'Priyanka', 'Siddharth'],
    last: ['Iyer', 'Venkataraman', 'Chatterjee', 'Rao', 'Krishnamurthy', 'Menon'],
  },
]

const titles = [
  'Software Engineer',
  'Product Designer',
  'Head of Customer Success',
  'Data Analyst',
  'Nurse',
  'Site Reliability Engineer',
  'Teacher',
  'Chief of Staff to the Vice President for International Programmes',
  null,
]

/** `count` people of all kinds: scripts, long names, states, old and new accounts. */
export function demoPeople(count: number): DemoPerson[] {
  return Array.from({ length: count }, (_, n) => demoPerson(n))
}

function demoPerson(n: number): DemoPerson {
  const place = pick(places, n)
  const first_name = pick(place.first, Math.floor(n / places.length))
  const last_name = pick(place.last, n * 5 + Math.floor(n / 11))
  const registered = 1 + ((n * 37) % 730)
  const state = n % 29 === 7 ? 'deleted' : n % 17 === 3 ? 'inactive' : 'active'
  const lastLogin = n % 13 === 5 ? null : (n * 11) % Math.min(registered, 90)
  const number = String(n).padStart(3, '0')
  return {
    email: `demo${number}@example.com`,
    username: `${latin(first_name) || 'demo'}.${number}`,
    first_name,
    last_name,
    full_name: `${first_name} ${last_name}`,
    phone_number: n % 3 === 0 ? `${place.prefix}${number}` : null,
    current_title: pick(titles, n * 7),
    location: n % 8 === 4 ? null : place.location,
    locale: place.locale,
    timezone: place.timezone,
    registered,
    lastLogin,
    logins: lastLogin === null ? 0 : 1 + ((n * 53) % 400),
    emailVerified: n % 6 !== 1,
    state,
    premium: state === 'active' && n % 9 === 2,
  }
}

const pick = <T>(list: readonly T[], n: number): T => list[n % list.length] as T // the lists above are not empty

const latin = (name: string): string =>
  name
    .normalize('NFKD')
    .replace(/[^A-Za-z]/g, '')
    .toLowerCase()
