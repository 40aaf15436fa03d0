// Okabe and Ito's palette, told apart by people who are colour-blind too. Beside each there always stands a text.
{
  ok: '#0072B2',
  warning: '#E69F00',
  broken: '#D55E00',
  unknown: '#CC79A7',
  off: '#8C8C8C',
  light: '#56B4E9',
}
