// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package dns

import "strconv"

const (
	typeA    = 1
	typeAAAA = 28
)

// AppendType appends the name of a type of records, or its number if it is not one of the common ones.
func AppendType(dst []byte, kind uint16) []byte {
	if name := typeName(kind); name != "" {
		return append(dst, name...)
	}
	return strconv.AppendUint(dst, uint64(kind), 10)
}

// typeName has the names of IANA's register, except for 255, whose name there is a star.
func typeName(kind uint16) string {
	if int(kind) < len(lowTypes) {
		return lowTypes[kind]
	}
	switch kind {
	case 99:
		return "SPF"
	case 108:
		return "EUI48"
	case 109:
		return "EUI64"
	case 249:
		return "TKEY"
	case 250:
		return "TSIG"
	case 251:
		return "IXFR"
	case 252:
		return "AXFR"
	case 255:
		return "ALL"
	case 256:
		return "URI"
	case 257:
		return "CAA"
	}
	return ""
}

var lowTypes = [...]string{
	1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS", 12: "PTR",
	13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 24: "SIG", 25: "KEY", 28: "AAAA", 29: "LOC", 33: "SRV",
	35: "NAPTR", 36: "KX", 37: "CERT", 39: "DNAME", 41: "OPT", 43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC",
	48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 59: "CDS", 60: "CDNSKEY",
	61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS",
}

// AppendRCode appends the name of a response code, or its number if it has none.
func AppendRCode(dst []byte, code uint16) []byte {
	if int(code) < len(rcodes) {
		return append(dst, rcodes[code]...)
	}
	return strconv.AppendUint(dst, uint64(code), 10)
}

var rcodes = [...]string{
	"Success", "FormatError", "ServerFailure", "NameError", "NotImplemented", "Refused",
	"YXDomain", "YXRRSet", "NXRRSet", "NotAuth", "NotZone",
}
