/** argon2id, 19 MiB, 2 passes, 1 lane (OWASP's first choice; NIST SP 800-63B-4 asks for a memory-hard hash). */
export const argon2Parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
