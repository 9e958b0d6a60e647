// What tests ask of Thunderbird, by its own interfaces; thunderbird.py puts a `return call(...)` behind it.

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const USES = { Inbox: "Inbox", SentMail: "Sent", Drafts: "Drafts", Trash: "Trash", Junk: "Junk", Archive: "Archive" };

// As "Confirm security exception" does: this certificate is that of localhost:port.
function trust(port, certificate) {
  const known = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).constructX509FromBase64(certificate);
  const exceptions = Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService);
  exceptions.rememberValidityOverride("localhost", port, {}, known, false);
}

function add_account(user, password, port) {
  const server = MailServices.accounts.createIncomingServer(user, "localhost", "imap");
  Object.assign(server, { port, password, socketType: Ci.nsMsgSocketType.SSL, authMethod: Ci.nsMsgAuthMethod.passwordCleartext });
  const account = MailServices.accounts.createAccount();
  account.incomingServer = server;
  const identity = MailServices.accounts.createIdentity();
  identity.email = user;
  account.addIdentity(identity);
  server.performExpand(null);
}

function add_pop3_account(user, password, port, leaves) {
  const server = MailServices.accounts.createIncomingServer(user, "localhost", "pop3");
  Object.assign(server, { port, password, socketType: Ci.nsMsgSocketType.SSL, authMethod: Ci.nsMsgAuthMethod.passwordCleartext });
  server.QueryInterface(Ci.nsIPop3IncomingServer);
  Object.assign(server, { leaveMessagesOnServer: leaves, deleteMailLeftOnServer: leaves });
  MailServices.accounts.createAccount().incomingServer = server;
}

function pop3_inbox() {
  const server = MailServices.accounts.allServers.find(one => one.type == "pop3");
  return server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
}

// "Get Messages": resolves when Thunderbird is done with it.
function fetch_mail() {
  return new Promise((resolve, reject) => {
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
      OnStartRunningUrl() {},
      OnStopRunningUrl(url, status) {
        Components.isSuccessCode(status) ? resolve(true) : reject(new Error(`not fetched: ${status}`));
      },
    };
    MailServices.pop3.GetNewMail(null, listener, pop3_inbox(), pop3_inbox().server.QueryInterface(Ci.nsIPop3IncomingServer));
  });
}

// The subjects of what POP3 has brought.
function fetched() {
  return [...pop3_inbox().messages].map(one => one.mime2DecodedSubject).sort();
}

function remove_fetched(subject) {
  const one = [...pop3_inbox().messages].find(message => message.mime2DecodedSubject == subject);
  pop3_inbox().deleteMessages([one], null, true, false, null, false);
}

function root() {
  return MailServices.accounts.allServers.find(server => server.type == "imap").rootFolder;
}

function folder(name) {
  return root().descendants.find(one => one.name == name);
}

function message(name, subject) {
  return [...folder(name).messages].find(one => one.mime2DecodedSubject == subject);
}

// Every folder and what it is for: {INBOX: "Inbox", Papers: ""}.
function folders() {
  const use = one => Object.keys(USES).filter(name => one.getFlag(Ci.nsMsgFolderFlags[name])).map(name => USES[name]).join();
  return Object.fromEntries(root().descendants.map(one => [one.name, use(one)]));
}

function open(name) {
  folder(name).updateFolder(null);
}

function subjects(name) {
  return [...folder(name).messages].map(one => one.mime2DecodedSubject).sort();
}

// The whole message, as it comes from the server.
function source(name, subject) {
  const uri = folder(name).getUriForMsg(message(name, subject));
  return new Promise((resolve, reject) => {
    let octets = "";
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
      onStartRequest() {},
      onDataAvailable(request, stream, offset, count) {
        const readable = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
        readable.setInputStream(stream);
        octets += readable.readBytes(count);
      },
      onStopRequest(request, status) {
        Components.isSuccessCode(status) ? resolve(octets) : reject(new Error(`no message: ${status}`));
      },
    };
    MailServices.messageServiceFromURI(uri).streamMessage(uri, listener, null, null, false, "", false);
  });
}

function flags(name, subject) {
  const one = message(name, subject);
  return { read: one.isRead, flagged: one.isFlagged };
}

function mark(name, subject) {
  folder(name).markMessagesRead([message(name, subject)], true);
  folder(name).markMessagesFlagged([message(name, subject)], true);
}

function create(name) {
  root().createSubfolder(name, null);
}

function copy(from, subject, to) {
  MailServices.copy.copyMessages(folder(from), [message(from, subject)], folder(to), false, null, null, false);
}

function remove(name, subject) {
  folder(name).deleteMessages([message(name, subject)], null, false, false, null, true);
}
