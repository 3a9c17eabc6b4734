/** A fingerprint of the text of each code block of the specification, as it stands in its document. */
export const FINGERPRINTS: Readonly<Record<string, string>> = {
  '1-02': 'e7668dbc4272', '1-03': '418b1675c36f', '1-04': 'b9ef73730627', '1-05': '2ccb240b166a',
  '1-06': '9b21ce0aedd5', '1-07': 'd4066f6a005a', '1-08': '44ecbca7af7e', '1-09': '1ce99480635b',
  '1-10': '3bd5ce3a7f0f', '1-11': 'e910280d2c46', '1-12': '2b51a71332dc', '1-13': '6b9b22069561',
  '1-14': 'c01303c97c73', '1-15': '91626d188489', '1-16': 'ff7354220b7b', '1-19': 'ec3af878a7ed',
  '1-20': 'f48a7cd19b27', '1-21': '644f750c5fc2', '1-22': '155cad31a407', '1-24': '80a892396525',
  '1-25': '96cb7ff7591d',
  '2-02': '4558f65f4231', '2-03': '6bec18b0a383', '2-04': 'd572aadd5d86', '2-05': '2de7e21f71fe',
  '2-06': 'a9cbb36761c0', '2-07': '8f62527ca14f', '2-08': 'e069affe8c75', '2-09': 'f651d86f4c27',
  '2-10': '82e3f93d6c16',
  '3-01': '5d26e2ce61ce', '3-02': '7370dfc8f810', '3-03': '9e018ba3ccf2', '3-04': '798ca4f3a97b',
  '3-05': '5a0044c91880', '3-06': '6ef4586c349e', '3-07': '2633d436a455', '3-08': '831d8aaa65ea',
  '3-09': 'e4585812c076', '3-10': 'f7659e120b4d', '3-11': 'f2f67277f5d1',
  '4-01': 'a2f7cd1dc6ea', '4-02': '570e0379c486', '4-03': '0a07c59a32b2', '4-04': 'f44cfa6fb7c2',
  '4-05': '07f7cad845be', '4-06': '54a5227788af', '4-07': '89a66f272e05', '4-08': '17647052f5ef',
  '4-09': '0ff03bb00a13', '4-10': '656dcdaf6444', '4-11': 'cb2f8baf9b66',
  '5-01': '774f9e18b67d', '5-02': '87a4c1053b4a', '5-03': '9bdb97b8cf38', '5-04': 'e66ee7cb99e9',
  '5-05': '8fb124279f28', '5-06': '91019101de4e', '5-07': 'aaf67d592231', '5-08': '3a8f1528d126',
  '5-09': '5179775de7bb', '5-10': 'bd9cf09c07bc', '5-11': '069111d42047', '5-12': '3d44fe798d3b',
  '5-13': 'd7bf2606b5d5', '5-14': '75a4250ada26', '5-15': '5f5df3188493', '5-16': '6acae2ccc424',
  '5-17': '182bb01de82a', '5-18': '5c8b6a3719af', '5-19': '3f2e0411b79f', '5-20': '835e56d30563',
  '5-21': '650db464b448', '5-22': '782e5ee45259', '5-23': '2202cb423dea', '5-24': '99dff9e9bbd7',
  '5-25': 'c3f1d30f8ae4', '5-26': 'af4fc24d4809', '5-27': 'a6e75b4d56c0', '5-28': '98ccc08daca8',
};

/** The blocks that a test runs from the first line to the last. */
export const RUNNING: readonly string[] = [
  '1-02', '1-03', '1-04', '1-05', '1-06', '1-07', '1-08', '1-09', '1-10', '1-11',
  '1-12', '1-13', '1-14', '1-15', '1-16', '1-19', '1-20', '1-22', '1-24', '1-25', '2-03',
  '2-04', '2-05', '3-01', '3-02', '3-03', '3-04', '3-05', '3-07', '3-08', '3-11', '4-03',
  '4-04', '4-06', '4-07', '4-08', '4-10', '5-01', '5-02', '5-05', '5-06', '5-07', '5-09',
  '5-10', '5-11', '5-12', '5-13', '5-14', '5-15', '5-16', '5-25', '5-26',
];

/** The blocks that do not run yet, and what is missing for each. */
export const NOT_RUNNING_YET: Readonly<Record<string, string>> = {
  '1-21': 'a container: the Dockerfile of this package builds the same image in two stages',
  '2-02': 'the class WebSocketServer with its one configuration; its message handler runs',
  '2-06': 'the class WebSocketServer, with clusters and files of logs',
  '2-07': 'a client that keeps its state and queue over reloads; its options of frames are refused by name',
  '2-08': 'a test of its own class',
  '2-09': 'the class WebSocketErrorHandler, which stands on the client',
  '2-10': 'a test of its own class',
  '3-06': 'a comparison with connection-limits',
  '3-09': 'a comparison with monitoring and endpoints',
  '3-10': 'logging into files',
  '4-01': 'the function that `socket.io` exports; with a stand-in for it, the whole text runs',
  '4-02': 'a client as that of Socket.IO',
  '4-05': 'a client as that of Socket.IO',
  '4-09': 'the function that `socket.io` exports, and workers that share a port',
  '4-11': 'the function that `socket.io` exports; with a stand-in for it, the whole text runs',
  ...Object.fromEntries(
    ['03', '04', '08', '17', '18', '19', '20', '21', '22', '23', '24', '27', '28'].map((number) => [
      `5-${number}`, 'components for React',
    ]),
  ),
};
