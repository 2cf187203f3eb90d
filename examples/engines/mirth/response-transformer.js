// Response transformer of the HTTP Sender: says whether Mirth Connect shall send the message again.
// Without it a queue repeats every answer from 400 on, also those that will always be the same.
//
// 429, 503, 500 and the like, and no connection: QUEUED. Every other refusal: ERROR, with the reason.

var line = String(connectorMap.get('responseStatusLine') || '');
var status = Number((/^HTTP\/\S+ (\d{3})/.exec(line) || [0, 0])[1]);
var unreachable = /^Error connecting/.test(String(responseStatusMessage || ''));

if (status < 400 && status > 0 && !unreachable) {
    responseStatus = SENT;
} else if (unreachable || status === 0 || status === 408 || status === 429 || status >= 500) {
    responseStatus = QUEUED;
} else {
    responseStatus = ERROR;
    responseStatusMessage = 'HTTP ' + status + ': ' + refusal(String(response.getMessage() || ''));
}

// The codes and places of an OperationOutcome; no patient value is in it.
function refusal(body) {
    try {
        return JSON.parse(body).issue.map(function (issue) {
            var codings = (issue.details || {}).coding || [];
            var code = codings.length ? codings[0].code : issue.code;
            var places = (issue.expression || []).concat(issue.location || []);
            return code + (places.length ? ' at ' + places[0] : '');
        }).join('; ');
    } catch (notJson) {
        return 'the answer is no OperationOutcome; a proxy may have sent it';
    }
}
