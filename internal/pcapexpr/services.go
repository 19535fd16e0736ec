// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package pcapexpr

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// The names of services, with their ports, as IANA and Debian assign them. An expression means the same on every machine, so
// /etc/services does not count.
const (
	tcpServices = "systat=11 qotd=17 ftp-data=20 ftp=21 ssh=22 telnet=23 smtp=25 whois=43 gopher=70 finger=79 http=80 www=80 pop3=110 " +
		"auth=113 ident=113 nntp=119 epmap=135 netbios-ssn=139 imap2=143 imap=143 bgp=179 microsoft-ds=445 submissions=465 " +
		"exec=512 login=513 shell=514 printer=515 uucp=540 klogin=543 kshell=544 afpovertcp=548 nntps=563 submission=587 " +
		"ipp=631 rsync=873 ftps-data=989 ftps=990 telnets=992 imaps=993 pop3s=995 socks=1080 ms-sql-s=1433 cvspserver=2401 " +
		"iscsi-target=3260 ms-wbt-server=3389 distcc=3632 daap=3689 svn=3690 epmd=4369 ntske=4460 munin=4949 " +
		"xmpp-client=5222 xmpp-server=5269 postgresql=5432 postgres=5432 nrpe=5666 nsca=5667 amqps=5671 amqp=5672 x11=6000 " +
		"redis=6379 syslog-tls=6514 ircd=6667 mysql=3306 http-alt=8080 webcache=8080 tproxy=8081 puppet=8140 git=9418 " +
		"zabbix-agent=10050 zabbix-trapper=10051"
	udpServices = "bootps=67 bootpc=68 tftp=69 ntp=123 netbios-ns=137 netbios-dgm=138 xdmcp=177 ptp-event=319 ptp-general=320 " +
		"isakmp=500 biff=512 who=513 talk=517 ntalk=518 route=520 dhcpv6-client=546 dhcpv6-server=547 ms-sql-m=1434 " +
		"l2tp=1701 l2f=1701 ipsec-nat-t=4500 iax=4569 mdns=5353 babel=6696"
	allServices = "echo=7 discard=9 daytime=13 chargen=19 time=37 tacacs=49 domain=53 kerberos=88 sunrpc=111 portmapper=111 snmp=161 " +
		"snmp-trap=162 snmptrap=162 ldap=389 svrloc=427 https=443 kpasswd=464 syslog=514 rtsp=554 ldaps=636 tinc=655 " +
		"domain-s=853 openvpn=1194 radius=1812 radius-acct=1813 nfs=2049 nut=3493 sip=5060 sip-tls=5061"
)

type service struct {
	port     uint32
	tcp, udp bool
}

func findService(name string) (service, bool) {
	for i, list := range []string{tcpServices, udpServices, allServices} {
		for entry := range strings.FieldsSeq(list) {
			if n, number, _ := strings.Cut(entry, "="); n == name {
				port, err := strconv.ParseUint(number, 10, 16)
				return service{uint32(port), i != 1, i != 0}, err == nil
			}
		}
	}
	return service{}, false
}

func isService(name string) bool {
	_, ok := findService(name)
	return ok
}

// protocols returns those that use the port. For tcpdump a service of TCP and UDP is one of SCTP, too.
func (s service) protocols() []uint32 {
	switch {
	case s.tcp && s.udp:
		return []uint32{protoTCP, protoUDP, protoSCTP}
	case s.tcp:
		return []uint32{protoTCP}
	}
	return []uint32{protoUDP}
}

// hintService returns the end of an error message about a name that is no service.
func hintService(name string) string {
	var names []string
	for _, list := range []string{tcpServices, udpServices, allServices} {
		for entry := range strings.FieldsSeq(list) {
			n, _, _ := strings.Cut(entry, "=")
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return nearest.Hint(name, names)
}
