
probabilities2C"setosa"
versicolor"	virginica* J˜¯&<Jçßb?JÓ*Ô=2C"setosa"
versicolor"	virginica* JƒÃ|?JŠO<Jeç42C"setosa"
versicolor"	virginica* Jãu–7JkN›<J`${?2C"setosa"
versicolor"	virginica* Jèp?J~}q=J”È52C"setosa"
versicolor"	virginica* Jí4J†×k<J›P|?2C"setosa"
versicolor"	virginica* J8?y9JN'Ì=J‚kf?2C"setosa"
versicolor"	virginica* JŠa:J‹?JgTç>2C"setosa"
versicolor"	virginica* J‘‹<J,Ab?J*…Ú=2C"setosa"
versicolor"	virginica* JCj 9J„­3=J!»t?2C"setosa"
versicolor"	virginica* J§iï<JÙ0U?JfO>2C"setosa"
versicolor"	virginica* Joc|?Jç#g<J•ÞÉ32C"setosa"
versicolor"	virginica* Jf3~?J«Læ;Jã>3