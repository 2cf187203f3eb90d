#!/bin/sh
# Convert one case: send.sh CASE.json BUNDLE.json
#
# 408, 429, 500, 503 and no connection are tried again for five minutes, as Retry-After asks; any other refusal
# ends at once with the OperationOutcome in BUNDLE.json.outcome.json. Exit status: 0 converted, 22 refused, else no answer.
# ADAPTER is the endpoint, ADAPTER_KEY a file with the line
# "Authorization: Bearer KEY", readable by you alone.
set -u
adapter=${ADAPTER:-http://127.0.0.1:8080}
part=$2.part
trap 'rm -f "$part"' EXIT

curl --silent --show-error --fail-with-body --max-time 60 \
    --retry 20 --retry-max-time 300 --retry-connrefused \
    --header 'Content-Type: application/json; charset=utf-8' \
    ${ADAPTER_KEY:+--header "@$ADAPTER_KEY"} \
    --data-binary "@$1" --output "$part" "$adapter/fhir/\$to-fhir"
status=$?

if [ $status -eq 0 ]; then
    mv "$part" "$2"
elif [ $status -eq 22 ] && [ -f "$part" ]; then
    mv "$part" "$2.outcome.json"
fi
exit $status
