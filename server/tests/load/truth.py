"""What a server acknowledged, and must have."""

import threading

# The version of a deleted document.
GONE = None


class Truth:
    """What must be in the index: for each id the versions that it may have. None stands for a deleted document."""

    def __init__(self):
        self.lock = threading.Lock()
        self.allowed = {}
        self.uncertain = set()

    def acknowledged(self, ids, version):
        with self.lock:
            for id in ids:
                self.allowed[id] = {version}

    def unanswered(self, ids, version):
        """The request may or may not have been done, and may be done later: the ids rest until the next comparison."""
        with self.lock:
            for id in ids:
                self.allowed.setdefault(id, {GONE}).add(version)
                self.uncertain.add(id)

    def free(self, ids):
        with self.lock:
            return [id for id in ids if id not in self.uncertain]

    def compare(self, found):
        """Every difference between what is found and what was acknowledged. What is found is the truth from then on."""
        with self.lock:
            wrong = []
            for id in set(self.allowed) | set(found):
                version = found.get(id, GONE)
                if version not in self.allowed.get(id, {GONE}):
                    wrong.append(f"{id}: found {version}, acknowledged {self.allowed.get(id)}")
            self.allowed = {id: {version} for id, version in found.items()}
            self.uncertain.clear()
            return wrong
